"""FP32, PTQ and QAT at few bits, on both networks of the zoo: accuracy, and time of fine-tuning.

    python tests/benchmarks/qat.py [--save] [--only NETWORK] [--bits W4A4] [--threads N]

``--save`` also keeps the results in labkit/data/qat_results.json, from which lab 5 draws its
picture, and writes them to qat.md beside this file; it goes on where an earlier run was stopped.
PTQ and QAT share the grids' places (both ends at 8 bits unless said otherwise), the images and the
integer kernels; all accuracies are those of integer networks on the 10,000 test images.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median, stdev

import torch
from torch import Tensor, fx, nn

from labkit import zoo
from labkit.ptq import fold_batchnorm, quantize_model
from labkit.qat import EPOCHS, RECIPES, FakeQuantize, convert, fake_quantize, prepare, train
from labkit.training import markdown_table

HERE = Path(__file__).parent
STORED = HERE.parents[1] / "labkit" / "data" / "qat_results.json"
SEEDS = (0, 1, 2)
CALIBRATION = 256  # images that the grids start with


@dataclass(frozen=True)
class Result:
    """One network, measured.

    Attributes
    ----------
    network, bits, method : str
    seed : int
        0 where nothing is drawn.
    accuracy, standard_error : float
        On the test images, 0 to 1.
    lost, lost_error : float
        Against FP32 on the same images (`labkit.zoo.difference`), 0 to 1.
    same_class : float
        Share of the test images on which integers and fake quantization agree; 1 without any.
    seconds, cpu_seconds : float
        Of fine-tuning, the teacher's answers included; by the clock, and of all cores together.
    threads : int
    """

    network: str
    bits: str
    method: str
    seed: int
    accuracy: float
    standard_error: float
    lost: float
    lost_error: float
    same_class: float
    seconds: float
    cpu_seconds: float
    threads: int


class Bench:
    """One network of the zoo and the data."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.images, self.labels = zoo.load_data("fashion_mnist", "calibration")
        self.test = zoo.load_data("fashion_mnist", "test")
        self.model = zoo.load_model(name)
        self.real = zoo.accuracy(self.model, *self.test)

    def fp32(self) -> Result:
        """Measure the network as it was trained."""
        return self._result("FP32", "FP32", 0, self.real)

    def ptq(self, bits: str, end_bits: int | None = 8) -> Result:
        """Quantize after training; binary weights by `prepare` without any step."""
        recipe, batch = RECIPES[bits], self.images[:CALIBRATION]
        if isinstance(recipe.weight_scheme, str):
            quantized = convert(self._prepared(bits, end_bits))
        else:
            quantized = quantize_model(
                self.model,
                [batch],
                recipe.weight_scheme,
                recipe.activation_scheme,
                end_bits=end_bits,
            )
        return self._result(_label(bits, end_bits), "PTQ", 0, zoo.accuracy(quantized, *self.test))

    def qat(
        self,
        bits: str,
        seed: int,
        method: str = "QAT",
        end_bits: int | None = 8,
        change: Callable[[fx.GraphModule, nn.Module], None] | None = None,
        **options: object,
    ) -> Result:
        """Fine-tune, convert and measure; `change` may rebuild the prepared network first."""
        network = self._prepared(bits, end_bits, **options)
        if change is not None:
            change(network, self.model)
        teacher = fold_batchnorm(self.model)
        start, cpu = time.perf_counter(), time.process_time()
        train(
            network,
            self.images,
            self.labels,
            teacher,
            epochs=EPOCHS[self.name],
            peak=RECIPES[bits].peak,
            seed=seed,
        )
        times = time.perf_counter() - start, time.process_time() - cpu
        quantized = convert(network)
        same = (_classes(network, self.test[0]) == _classes(quantized, self.test[0])).float().mean()
        reached = zoo.accuracy(quantized, *self.test)
        return self._result(_label(bits, end_bits), method, seed, reached, float(same), times)

    def _prepared(self, bits: str, end_bits: int | None, **options: object) -> fx.GraphModule:
        recipe = RECIPES[bits]
        network = prepare(
            self.model, recipe.weight_scheme, recipe.activation_scheme, end_bits=end_bits, **options
        )
        with torch.no_grad():
            network(self.images[:CALIBRATION])
        return network

    def _result(
        self,
        bits: str,
        method: str,
        seed: int,
        reached: zoo.Accuracy,
        same: float = 1.0,
        times: tuple[float, float] = (0.0, 0.0),
    ) -> Result:
        lost = zoo.difference(self.real, reached)
        measured = (reached.mean, reached.standard_error, *lost, same, *times)
        return Result(self.name, bits, method, seed, *measured, torch.get_num_threads())


class FrozenNorm(nn.Module):
    """What batch normalization with frozen statistics does to a weight: a factor per channel."""

    def __init__(self, factor: Tensor) -> None:
        super().__init__()
        self.factor = nn.Parameter(factor)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.factor


def keep_batchnorm(network: fx.GraphModule, model: nn.Module) -> None:
    """Train the weights and the normalization's factor apart, as if it had not been folded."""
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d):
            parametrized = network.get_submodule(name).parametrizations["weight"]
            raw, folded = layer.weight.detach(), parametrized.original.detach()
            factor = (folded * raw).sum((1, 2, 3)) / raw.square().sum((1, 2, 3))
            parametrized.original.data = raw.clone()
            parametrized.insert(0, FrozenNorm(factor.reshape(-1, 1, 1, 1)))


def _label(bits: str, end_bits: int | None) -> str:
    return bits if end_bits else f"{bits} ends, too"


def _classes(network: nn.Module, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return torch.cat([network(batch).argmax(1) for batch in images.split(100)])


Job = tuple[str, str, int, Callable[[Bench], Result]]


def jobs(names: list[str], bits: list[str]) -> Iterator[tuple[str, Job]]:
    """Yield network and (bits, method, seed, how to measure), what matters most first."""
    for name in names:
        yield name, ("FP32", "FP32", 0, Bench.fp32)
        for b in bits:
            yield name, (b, "PTQ", 0, lambda bench, b=b: bench.ptq(b))
    for seed in SEEDS:
        for b in sorted(bits, key="W4A4 W2A8 W1A8 W4A8 W8A8".index):
            for name in names:
                yield name, (b, "QAT", seed, lambda bench, b=b, s=seed: bench.qat(b, s))
    for name in names:
        for b in bits:
            yield from ((name, job) for job in _variants(b))


def _variants(b: str) -> Iterator[Job]:
    """Yield what is measured once: all layers at 4 bits, observed ranges, unfolded weights."""
    if b == "W4A4":
        label = _label(b, None)
        yield label, "PTQ", 0, lambda bench: bench.ptq(b, None)
        yield label, "QAT", 0, lambda bench: bench.qat(b, 0, end_bits=None)
        observed = "QAT, observed ranges"
        yield b, observed, 0, lambda bench: bench.qat(b, 0, observed, quantizer=FakeQuantize)
    if b in ("W4A4", "W2A8"):
        kept = "QAT, BN kept, frozen"
        yield b, kept, 0, lambda bench: bench.qat(b, 0, kept, change=keep_batchnorm)


def table(results: list[Result]) -> str:
    """Return a row for each network, bits and method; mean and spread over the seeds."""
    rows = []
    for key in dict.fromkeys((r.network, r.bits, r.method) for r in results):
        found = [r for r in results if (r.network, r.bits, r.method) == key]
        accuracy, lost = [100 * r.accuracy for r in found], [100 * r.lost for r in found]
        spread = f" ± {stdev(accuracy):.2f}" if len(found) > 1 else ""
        trained = found[0].seconds > 0
        rows.append(
            (
                *key,
                len(found),
                f"{mean(accuracy):.2f}{spread}",
                f"{mean(lost):.2f} ± {100 * mean(r.lost_error for r in found):.2f}",
                f"{100 * min(r.same_class for r in found):.2f}" if trained else "",
                f"{max(r.cpu_seconds for r in found):.0f}" if trained else "",
                f"{max(r.seconds for r in found):.0f}" if trained else "",
            )
        )
    head = ("network", "bits", "method", "runs", "accuracy, %", "lost against FP32, points")
    head += ("same class as fake-quantized, %, least", "CPU s, most", "s, most")
    return markdown_table(head, rows)


def operators() -> str:
    """Time forward and backward of fake quantization on activations, beside torch's operators."""
    x = torch.randn(64, 32, 28, 28).relu().requires_grad_()
    dy, scale, zero = torch.randn_like(x), torch.tensor([0.2], requires_grad=True), torch.zeros(1)
    plain = scale.detach()
    rivals = {
        "labkit, x": lambda: fake_quantize(x, plain, zero, 0, 15),
        "torch.fake_quantize_per_tensor_affine, x": lambda: torch.fake_quantize_per_tensor_affine(
            x, 0.2, 0, 0, 15
        ),
        "labkit, x and scale": lambda: fake_quantize(x, scale, zero, 0, 15),
        "torch._fake_quantize_learnable_per_tensor_affine, x and scale": lambda: (
            torch._fake_quantize_learnable_per_tensor_affine(x, scale, zero, 0, 15, 1.0)
        ),
    }
    times: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(30):
        for name, forward in rivals.items():
            x.grad = scale.grad = None
            start = time.perf_counter()
            forward().backward(dy)
            times[name].append(1000 * (time.perf_counter() - start))
    rows = [(name, f"{median(found):.1f}") for name, found in times.items()]
    return markdown_table(("operator, and what gets a gradient", "ms (median)"), rows)


def store(results: list[Result]) -> None:
    """Keep the results as data, from which a later run goes on."""
    lines = ",\n".join(json.dumps(asdict(result)) for result in results)
    STORED.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def write(results: list[Result]) -> None:
    """Write the page."""
    torch.set_num_threads(1)
    threads = "/".join(map(str, sorted({r.threads for r in results})))
    page = f"""# Quantization-aware training beside post-training quantization

`python tests/benchmarks/qat.py --save` wrote this file. Accuracy of integer networks on the 10,000
test images of Fashion-MNIST: mean over the seeds, which order the images, and standard deviation.
What is lost against FP32 is measured on the same images, and stands with its standard error. Both
ends of a network have 8 bits, except where "ends, too" says that they have as few as the rest. W1
are binary weights. QAT fine-tunes on the 10,000 calibration images, once over (resnet) or twice
(mobilenet), imitates FP32, and learns its step sizes. Times are those of fine-tuning, on
{threads} thread(s); CPU seconds hardly depend on what else the machine does.

{table(results)}

## Operators

Forward and backward on activations of 64 x 32 x 28 x 28, taken in turn, one thread; labkit's own
are used in training, and their gradients are torch's (tests/test_qat_straight_through.py).

{operators()}
"""
    (HERE / "qat.md").write_text(page, encoding="utf-8")


def main() -> None:
    """Measure and print; with --save also keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true", help="keep the results")
    parser.add_argument("--only", choices=zoo.MODELS, help="one network")
    parser.add_argument("--bits", choices=RECIPES, help="one number of bits")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results: list[Result] = []
    if arguments.save and STORED.exists():
        results = [Result(**row) for row in json.loads(STORED.read_text(encoding="utf-8"))]
    done = {(r.network, r.bits, r.method, r.seed) for r in results}
    benches: dict[str, Bench] = {}
    names = [arguments.only] if arguments.only else list(zoo.MODELS)
    bits = [arguments.bits] if arguments.bits else list(RECIPES)
    for name, (label, method, seed, measure) in jobs(names, bits):
        if (name, label, method, seed) in done:
            continue
        bench = benches.get(name) or benches.setdefault(name, Bench(name))
        results.append(measure(bench))
        print(results[-1], flush=True)
        if arguments.save:
            store(results)
    if arguments.save:
        write(results)
    print(table(results))


if __name__ == "__main__":
    main()
