"""SmolLM2 in few bits: perplexity beside float on the same tokens, bytes, and what it writes.

    labkit get smollm2
    python tests/benchmarks/language.py [--save] [--only [METHOD ...]] [--speed]

2,048 tokens of the held-out text in four sequences; calibration on 2,048 tokens of other text.
``--only`` measures no other methods; what is stored already is in the table all the same.
``--save`` keeps each result in labkit/data/language_results.json as soon as it is there, goes on
where an earlier run was stopped, and writes language.md beside this file. ``--speed`` times a token
instead, for language_speed.md.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from table import machine, markdown, saved_by
from torch import Tensor

from labkit.language import (
    KVCache,
    LanguageModel,
    Perplexity,
    awq_model,
    bytes_by_kind,
    difference,
    generate,
    gptq_model,
    load_model,
    load_text,
    measure,
    pack_model,
    quantize_activations,
    rotate_model,
    round_model,
    smooth_model,
    speed,
    split_model,
)
from labkit.linear import Scheme

HERE = Path(__file__).parent
STORED = HERE.parents[1] / "labkit" / "data" / "language_results.json"
TOKENS, LENGTH, GROUP = 2048, 512, 64
EIGHT = Scheme(8, symmetric=True, narrow=True)
BEHIND_PRODUCTS = ("mix", "inner")
PROMPT, WRITTEN = "The capital of France is", 20

Method = Callable[[LanguageModel, Tensor], LanguageModel]


@dataclass(frozen=True)
class Result:
    """One method, measured.

    Attributes
    ----------
    method : str
    perplexity, standard_error : float
    lost, lost_error : float
        Nats a token more than float, on the same tokens.
    weights : float
        Bytes of the matrices in the blocks.
    seconds : float
        Processor time that the method took.
    text : str
        How it continues the prompt, greedily.
    """

    method: str
    perplexity: float
    standard_error: float
    lost: float
    lost_error: float
    weights: float
    seconds: float
    text: str


def eight(prepare: Method = lambda model, tokens: model) -> Method:
    """Weights and inputs in 8 bits, one static grid a tensor, after `prepare`."""
    return lambda model, tokens: quantize_activations(
        round_model(prepare(model, tokens), EIGHT), tokens
    )


def weights_only(bits: int) -> dict[str, Method]:
    """Weights in few bits, a scale for each group."""
    scheme, title = Scheme(bits), f"W{bits} in groups of {GROUP}"

    def calibrated(method: Callable, **options: bool) -> Method:
        return lambda model, tokens: method(model, tokens, scheme, GROUP, **options)

    return {
        f"{title}, rounded": lambda model, tokens: round_model(model, scheme, GROUP),
        f"{title}, GPTQ": calibrated(gptq_model, clip=False),
        f"{title}, GPTQ, ranges searched for": calibrated(gptq_model, clip=True),
        f"{title}, AWQ": calibrated(awq_model, clip=False),
    }


METHODS: dict[str, Method] = {
    "float": lambda model, tokens: model,
    "W8A8, one static grid a tensor": eight(),
    "W8A8, one grid a token": lambda model, tokens: quantize_activations(round_model(model, EIGHT)),
    "W8A8, one grid a token, with zero points": lambda model, tokens: quantize_activations(
        round_model(model, EIGHT), scheme=Scheme(8)
    ),
    "W8A8, static, smoothed (norms)": eight(
        lambda model, tokens: smooth_model(model, tokens, stages=("attention", "mlp"))
    ),
    "W8A8, static, smoothed": eight(smooth_model),
    "W8A8, static, rotated": eight(lambda model, tokens: rotate_model(model)),
    "W8A8, static, smoothed (v, up) and rotated": eight(
        lambda model, tokens: rotate_model(smooth_model(model, tokens, 0.7, stages=BEHIND_PRODUCTS))
    ),
    "W8A8, LLM.int8 from 6 on": lambda model, tokens: split_model(model),
    **weights_only(4),
    **weights_only(3),
}
CACHES = {f"keys and values in {bits} bits": bits for bits in (4, 2)}


def caches(model: LanguageModel, bits: int) -> list[KVCache]:
    """Return empty caches in few bits."""
    return [KVCache(Scheme(bits)) for _ in model.blocks]


def run(only: list[str] | None, save: bool) -> list[Result]:
    """Measure all methods, or those that are named, unless they are stored."""
    order = [*METHODS, *CACHES]
    stored = json.loads(STORED.read_text("utf-8")) if save and STORED.exists() else {}
    wanted = [m for m in order if m not in stored and (only is None or m in only)]
    if wanted:
        measure_all(wanted, stored, save)
    return [Result(**stored[method]) for method in order if method in stored]


def measure_all(wanted: list[str], stored: dict[str, dict], save: bool) -> None:
    """Measure methods, and put each result into `stored`."""
    model, tokenizer = load_model("smollm2")
    held_out, calibration = (
        tokenizer.encode(load_text(name))[:TOKENS].view(-1, LENGTH)
        for name in ("held-out", "calibration")
    )
    prompt = tokenizer.encode(PROMPT)[None]
    base = measure(model, held_out)

    def keep(
        method: str,
        other: LanguageModel,
        found: Perplexity,
        seconds: float,
        cache: list[KVCache] | None = None,
    ) -> None:
        lost, lost_error = difference(found, base)
        written = generate(other, prompt, WRITTEN, cache=cache)
        text = tokenizer.decode(written[0, prompt.shape[1] :])
        weights = bytes_by_kind(other)["weights"]
        stored[method] = asdict(
            Result(
                method,
                round(found.value, 3),
                round(found.standard_error, 3),
                round(lost, 4),
                round(lost_error, 4),
                weights,
                round(seconds),
                text,
            )
        )
        print(*stored[method].values(), sep=" | ", flush=True)
        if save:
            STORED.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", "utf-8")

    for method in wanted:
        if method in CACHES:
            bits = CACHES[method]
            found = measure(model, held_out, partial(caches, model, bits))
            keep(method, model, found, 0, caches(model, bits))
            continue
        start = time.process_time()
        other = METHODS[method](model, calibration)
        seconds = time.process_time() - start
        keep(method, other, base if method == "float" else measure(other, held_out), seconds)


def speeds() -> list[tuple]:
    """Time a token read and written, in float and packed."""
    model, tokenizer = load_model("smollm2")
    prompt = tokenizer.encode(load_text("held-out"))[None, :128]
    four, eight = round_model(model, Scheme(4), GROUP), round_model(model, EIGHT)
    forms = {
        "float32": (bytes_by_kind(model, 32), lambda: model),
        f"W4 in groups of {GROUP}": (bytes_by_kind(four), lambda: pack_model(four)),
        "W8": (bytes_by_kind(eight), lambda: pack_model(eight)),
        # Last, since it changes the model.
        "bfloat16": (bytes_by_kind(model), model.bfloat16),
    }
    rows = []
    for name, (size, make) in forms.items():
        found, total = speed(make(), prompt), size["weights"] + size["embedding"]
        rows.append((name, f"{total / 1e6:.0f}", f"{found.decode:.1f}", f"{found.prefill:.0f}"))
    return rows


def table(results: list[Result]) -> str:
    """Return the results as Markdown."""
    head = ("method", "perplexity", "nats a token more than float", "MB in blocks", "CPU s")
    rows = [
        (
            result.method,
            f"{result.perplexity:.2f} ± {result.standard_error:.2f}",
            f"{result.lost:.3f} ± {result.lost_error:.3f}",
            f"{result.weights / 1e6:.1f}",
            f"{result.seconds:.0f}",
        )
        for result in results
    ]
    return markdown(head, rows)


def results_page(results: list[Result]) -> str:
    """Return language.md."""
    written = [(r.method, r.text.replace("\n", " / ").replace("|", "\\|")) for r in results]
    return f"""# SmolLM2 in few bits

{saved_by(__file__)} wrote this file, on {machine()}

Perplexity on {TOKENS} tokens of the held-out text in sequences of {LENGTH}, with its standard
error; the difference of the mean loss to float is taken on the same tokens, with its own. All
calibration is on {TOKENS} tokens of other text. Bytes are those of the matrices in the blocks,
scales and zero points included, 16 bits a weight that is not rounded. CPU s: what the method took,
on one thread of a machine with other work.

{table(results)}

How each continues "{PROMPT}", greedily (a line's end is /):

{markdown(("method", "text"), written)}
"""


def speed_page() -> str:
    """Measure, and return language_speed.md."""
    return f"""# SmolLM2's speed

`python tests/benchmarks/language.py --speed --save` wrote this file, on {machine()}

Milliseconds a token when writing, tokens a second when reading a prompt of 128, in processor time
of one thread, each the best of three. MB: all weights, the embedding in 16 bits (float32: 32).

{markdown(("weights", "MB", "ms a token written", "tokens/s read"), speeds())}
"""


def main() -> None:
    """Measure, print, and save if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true")
    choices = [*METHODS, *CACHES]
    parser.add_argument("--only", nargs="*", choices=choices, help="those; without a name: none")
    parser.add_argument("--speed", action="store_true", help="measure speed instead")
    parsed = parser.parse_args()
    torch.set_num_threads(1)
    name = "language_speed.md" if parsed.speed else "language.md"
    page = speed_page() if parsed.speed else results_page(run(parsed.only, parsed.save))
    print(page)
    if parsed.save:
        (HERE / name).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
