"""SmolLM2 in few bits: perplexity beside float on the same tokens, bytes, speed, what it writes.

    labkit get smollm2
    python tests/benchmarks/language.py [--save] [--only [METHOD ...]] [--speed]

2,048 tokens of the held-out text in four sequences; calibration on 2,048 tokens of other text.
``--only`` measures no other methods; what is stored already is in the tables all the same.
``--speed`` times all kernels again. ``--save`` keeps each result in
labkit/data/language_results.json as soon as it is there, goes on where an earlier run was stopped,
and writes language.md beside this file.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from table import machine, markdown, saved_by
from torch import Tensor

from labkit.language import (
    KVCache,
    LanguageModel,
    Perplexity,
    Result,
    Speed,
    awq_model,
    bytes_by_kind,
    difference,
    few_bit_layers,
    generate,
    gptq,
    gptq_model,
    hessian,
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
    watch_inputs,
)
from labkit.language.tokenizers import Tokenizer
from labkit.linear import Scheme

HERE = Path(__file__).parent
STORED = HERE.parents[1] / "labkit" / "data" / "language_results.json"
TOKENS, LENGTH, GROUP = 2048, 512, 64
EIGHT = Scheme(8, symmetric=True, narrow=True)
BEHIND_PRODUCTS = ("mix", "inner")
PROMPT, WRITTEN = "The capital of France is", 20

Method = Callable[[LanguageModel, Tensor], LanguageModel]


def eight(prepare: Method = lambda model, tokens: model) -> Method:
    """Weights and inputs in 8 bits, one static grid a tensor, after `prepare`."""
    return lambda model, tokens: quantize_activations(
        round_model(prepare(model, tokens[:TOKENS]), EIGHT), tokens[:TOKENS]
    )


def rounded(scheme: Scheme) -> Method:
    """Weights to the nearest code, a scale for each group."""
    return lambda model, tokens: round_model(model, scheme, GROUP)


def calibrated(method: Callable, scheme: Scheme, tokens: int = TOKENS, **options: bool) -> Method:
    """Weights by a method that looks at so many tokens of the calibration text."""
    return lambda model, text: method(
        model, text[: tokens // text.shape[1]], scheme, GROUP, **options
    )


def weights_only(bits: int) -> dict[str, Method]:
    """Weights in few bits, a scale for each group."""
    scheme, title = Scheme(bits), f"W{bits} in groups of {GROUP}"
    return {
        f"{title}, rounded": rounded(scheme),
        f"{title}, AWQ": calibrated(awq_model, scheme, clip=False),
        f"{title}, GPTQ": calibrated(gptq_model, scheme, clip=False),
        f"{title}, GPTQ, ranges searched for": calibrated(gptq_model, scheme, clip=True),
    }


def gptq_of_float(
    model: LanguageModel, tokens: Tensor, scheme: Scheme, group_size: int, **options: bool
) -> LanguageModel:
    """Round with `gptq`, all layers with the Hessians of the float network."""
    shared = {"k": "q", "v": "q", "up": "gate"}  # layers that read the same input
    found: dict[str, Tensor] = {}

    def observe(name: str, x: Tensor) -> None:
        found[name] = found.get(name, 0) + hessian(x) / len(tokens)

    other = round_model(model, scheme, group_size)
    layers = few_bit_layers(other)
    watch_inputs(model, tokens, observe, [n for n in layers if n.split(".")[-1] not in shared])
    for name, layer in layers.items():
        path, _, own = name.rpartition(".")
        h, grid = found[f"{path}.{shared.get(own, own)}"], layer.qparams
        weight = model.get_submodule(name).weight
        layer.store(gptq(weight, h, grid, **options), grid)
    return other


METHODS: dict[str, Method] = {
    "float": lambda model, tokens: model,
    "bfloat16": lambda model, tokens: copy.deepcopy(model).bfloat16(),
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
    "W8, a scale a row": lambda model, tokens: round_model(model, EIGHT),
    **weights_only(4),
    **weights_only(3),
}
CACHES = {f"keys and values in {bits} bits": bits for bits in (4, 2)}

SYMMETRIC, OF_FLOAT = Scheme(3, symmetric=True, narrow=True), "Hessians of the float network"
PARTS_OF_GPTQ: dict[str, Method] = {
    "W3 symmetric, rounded": rounded(SYMMETRIC),
    f"W3 symmetric, GPTQ, {OF_FLOAT}, no row falls back": calibrated(
        gptq_of_float, SYMMETRIC, fall_back=False
    ),
    f"W3 symmetric, GPTQ, {OF_FLOAT}": calibrated(gptq_of_float, SYMMETRIC),
    f"W3 symmetric, GPTQ, {OF_FLOAT}, 8,192 tokens": calibrated(gptq_of_float, SYMMETRIC, 8192),
    "W3 symmetric, GPTQ, columns from left to right": calibrated(
        gptq_model, SYMMETRIC, clip=False, act_order=False
    ),
    "W3 symmetric, GPTQ": calibrated(gptq_model, SYMMETRIC, clip=False),
    f"W3 in groups of {GROUP}, GPTQ, {OF_FLOAT}": calibrated(
        gptq_of_float, Scheme(3), act_order=True
    ),
}
SMALL_LENGTH = 128
ON_THE_SMALL_MODEL: dict[str, Method] = {"W2, rounded": rounded(Scheme(2))}
for tokens in (256, 2048, 16384):
    ON_THE_SMALL_MODEL |= {
        f"W2, GPTQ, {tokens:,} tokens, {OF_FLOAT}": calibrated(gptq_of_float, Scheme(2), tokens),
        f"W2, GPTQ, {tokens:,} tokens": calibrated(
            gptq_model, Scheme(2), tokens, clip=False, act_order=False
        ),
    }
ROUNDED, BEST = (f"W3 in groups of {GROUP}, {method}" for method in ("rounded", "GPTQ"))
TABLES = {
    "methods": [*METHODS, *CACHES],
    "small model": list(ON_THE_SMALL_MODEL),
    "GPTQ": [*list(PARTS_OF_GPTQ)[:-1], ROUNDED, *list(PARTS_OF_GPTQ)[-1:], BEST],
}

KERNELS = {
    "float": "float32",
    "bfloat16": "bfloat16",
    "W8, a scale a row": "W8",
    f"W4 in groups of {GROUP}": "W4",
}


def kernel_of(method: str) -> str:
    """Return which kernel multiplies what a method makes of weights, or ""."""
    return next((kernel for start, kernel in KERNELS.items() if method.startswith(start)), "")


def caches(model: LanguageModel, bits: int) -> list[KVCache]:
    """Return empty caches in few bits."""
    return [KVCache(Scheme(bits)) for _ in model.blocks]


class Store:
    """Results by method, and speeds by kernel, in a file once `save` is true."""

    def __init__(self, save: bool) -> None:
        found = json.loads(STORED.read_text("utf-8")) if save and STORED.exists() else {}
        rows = [row for table in found.get("tables", {}).values() for row in table]
        self.results = {row["method"]: Result(**row) for row in rows}
        self.speeds = {k: Speed(**v) for k, v in found.get("speeds", {}).items()}
        self.save = save

    def table(self, name: str) -> list[Result]:
        """Return what is known of a table, in its order."""
        return [self.results[m] for m in TABLES[name] if m in self.results]

    def keep(
        self,
        method: str,
        model: LanguageModel,
        found: Perplexity,
        base: Perplexity,
        seconds: float,
        text: str,
    ) -> None:
        """Keep what was found about a method, beside the float model."""
        lost, lost_error = difference(found, base)
        self.results[method] = Result(
            method,
            round(found.value, 3),
            round(found.standard_error, 3),
            round(lost, 4),
            round(lost_error, 4),
            bytes_by_kind(model, 8 * model.embedding.weight.itemsize)["weights"],
            kernel_of(method),
            round(seconds),
            text,
        )
        print(*asdict(self.results[method]).values(), sep=" | ", flush=True)
        self.write()

    def write(self) -> None:
        """Write the file, if it is wanted."""
        if self.save:
            tables = {name: [asdict(row) for row in self.table(name)] for name in TABLES}
            speeds = {kernel: asdict(found) for kernel, found in self.speeds.items()}
            text = json.dumps({"tables": tables, "speeds": speeds}, indent=1, ensure_ascii=False)
            STORED.write_text(text + "\n", "utf-8")


def measure_all(wanted: list[str], store: Store) -> None:
    """Measure methods on SmolLM2, and put each result into `store`."""
    model, tokenizer = load_model("smollm2")
    held_out, calibration = texts(tokenizer, TOKENS, 8192, LENGTH)
    prompt = tokenizer.encode(PROMPT)[None]
    base = measure(model, held_out)
    for method in wanted:
        bits = CACHES.get(method)
        start = time.process_time()
        other = model if bits else (METHODS | PARTS_OF_GPTQ)[method](model, calibration)
        seconds = time.process_time() - start
        cache = caches(model, bits) if bits else None
        written = generate(other, prompt, WRITTEN, cache=cache)
        text = tokenizer.decode(written[0, prompt.shape[1] :])
        found = measure(other, held_out, partial(caches, model, bits) if bits else None)
        store.keep(method, other, found, base, seconds, text)


def measure_small(wanted: list[str], store: Store) -> None:
    """Measure methods on the built-in model, and put each result into `store`."""
    model, tokenizer = load_model("shakespeare")
    held_out, calibration = texts(tokenizer, 2 * TOKENS, 16384, SMALL_LENGTH)
    base = measure(model, held_out)
    for method in wanted:
        start = time.process_time()
        other = ON_THE_SMALL_MODEL[method](model, calibration)
        seconds = time.process_time() - start
        store.keep(method, other, measure(other, held_out), base, seconds, "")


def texts(tokenizer: Tokenizer, held_out: int, calibration: int, length: int) -> list[Tensor]:
    """Return so many tokens of both texts, in sequences."""
    wanted = {"held-out": held_out, "calibration": calibration}
    return [tokenizer.encode(load_text(n))[:k].view(-1, length) for n, k in wanted.items()]


def measure_speeds(store: Store) -> None:
    """Time a token read and written, in float and packed."""
    model, tokenizer = load_model("smollm2")
    prompt = tokenizer.encode(load_text("held-out"))[None, :128]
    forms = {
        "float32": lambda: model,
        "bfloat16": model.bfloat16,
        "W8": lambda: pack_model(round_model(model, EIGHT)),
        "W4": lambda: pack_model(round_model(model, Scheme(4), GROUP)),
    }
    for kernel in ("float32", "W8", "W4", "bfloat16"):  # the last changes the model
        store.speeds[kernel] = speed(forms[kernel](), prompt)
        print(kernel, store.speeds[kernel], flush=True)
        store.write()


def methods_table(store: Store) -> str:
    """Return the results as Markdown."""
    head = (
        "method",
        "perplexity",
        "nats a token more than float",
        "MB in blocks",
        "tokens/s written",
        "tokens/s read",
        "CPU s",
    )
    rows = []
    for r in store.table("methods"):
        found = store.speeds.get(r.kernel)
        rows.append(
            (
                r.method,
                f"{r.perplexity:.2f} ± {r.standard_error:.2f}",
                f"{r.lost:.3f} ± {r.lost_error:.3f}",
                f"{r.weights / 1e6:.1f}",
                f"{1000 / found.decode:.1f}" if found else "",
                f"{found.prefill:.0f}" if found else "",
                f"{r.seconds:.0f}",
            )
        )
    return markdown(head, rows)


def parts_table(store: Store, name: str, title: str) -> str:
    """Return what the parts of GPTQ are worth, as Markdown."""
    head = (title, "perplexity", "nats a token more than float", "CPU s")
    rows = [
        (
            r.method,
            f"{r.perplexity:.2f} ± {r.standard_error:.2f}",
            f"{r.lost:.3f} ± {r.lost_error:.3f}",
            f"{r.seconds:.0f}",
        )
        for r in store.table(name)
    ]
    return markdown(head, rows)


def page(store: Store) -> str:
    """Return language.md."""
    written = [
        (r.method, r.text.replace("\n", " / ").replace("|", "\\|")) for r in store.table("methods")
    ]
    return f"""# SmolLM2 in few bits

{saved_by(__file__)} wrote this file, on {machine()}

Perplexity on {TOKENS} tokens of the held-out text in sequences of {LENGTH}, with its standard
error; the difference of the mean loss to float is taken on the same tokens, with its own. All
calibration is on {TOKENS} tokens of other text. W8A8: weights with a scale a row, inputs on a
symmetric grid unless zero points are named. W4 and W3: scales and zero points in groups of {GROUP}.
Bytes are those of the matrices in the blocks, scales and zero points included. Tokens a second in
processor time of one thread, the best of three, written one after the other and read in a prompt of
128; only where a kernel of torch multiplies such codes (the other rows are simulated in float).
CPU s: what the method took, on one thread of a machine with other work.

{methods_table(store)}

How each continues "{PROMPT}", greedily (a line's end is /):

{markdown(("method", "text"), written)}

## What the parts of GPTQ are worth

The table above has GPTQ with the Hessians of the inputs that each layer really gets, behind layers
that are rounded already, columns of the largest inputs first, and grids with zero points. Here some
of it is left out. "W3 symmetric" has 7 codes, from -3 to 3, without zero points.

{parts_table(store, "GPTQ", f"SmolLM2, 3 bits in groups of {GROUP}")}

The built-in model on {2 * TOKENS} characters of the held-out text; columns from left to right:

{parts_table(store, "small model", f"2 bits in groups of {GROUP}")}
"""


def main() -> None:
    """Measure, print, and save if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true")
    choices = list(METHODS | CACHES | PARTS_OF_GPTQ | ON_THE_SMALL_MODEL)
    parser.add_argument("--only", nargs="*", choices=choices, help="those; without a name: none")
    parser.add_argument("--speed", action="store_true", help="time all kernels again")
    parsed = parser.parse_args()
    torch.set_num_threads(1)
    store = Store(parsed.save)
    named = choices if parsed.only is None else parsed.only
    wanted = [method for method in named if method not in store.results]
    for measured, small in ((measure_all, False), (measure_small, True)):
        if some := [method for method in wanted if (method in ON_THE_SMALL_MODEL) == small]:
            measured(some, store)
    if parsed.speed or not store.speeds:
        measure_speeds(store)
    text = page(store)
    print(text)
    if parsed.save:
        (HERE / "language.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
