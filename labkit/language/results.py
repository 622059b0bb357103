"""What ``tests/benchmarks/language.py --save`` measured on SmolLM2, all methods beside float."""

import json
from dataclasses import dataclass
from importlib import resources

from labkit.language.packed import Speed

__all__ = ["Result", "stored_results", "stored_speeds"]


@dataclass(frozen=True)
class Result:
    """One method, measured on 2,048 tokens of the held-out text.

    Attributes
    ----------
    method : str
        What was done: "W4 in groups of 64, GPTQ".
    perplexity, standard_error : float
        And the error of the perplexity.
    lost, lost_error : float
        Nats a token more than float, on the same tokens, and the error of that difference.
    weights : float
        Bytes of the matrices in the blocks.
    kernel : str
        Which of `stored_speeds` it has; "" where no kernel of torch multiplies such codes, and
        float arithmetic stood in.
    seconds : float
        Processor time that the method took.
    text : str
        How it continues "The capital of France is", greedily.
    """

    method: str
    perplexity: float
    standard_error: float
    lost: float
    lost_error: float
    weights: float
    kernel: str
    seconds: float
    text: str


def stored_results(table: str = "methods") -> list[Result]:
    """Return the results of a table.

    Parameters
    ----------
    table : str
        "methods"; or what the parts of GPTQ are worth, "GPTQ" on SmolLM2 at 3 bits, and "small
        model" on 4,096 characters of the held-out text, with the built-in model at 2 bits.

    Raises
    ------
    ValueError
        If there is no such table.
    """
    tables = _stored()["tables"]
    if table not in tables:
        raise ValueError(f"table is {table!r}; expected one of {tuple(tables)}.")
    return [Result(**row) for row in tables[table]]


def stored_speeds() -> dict[str, Speed]:
    """Return how fast SmolLM2 reads 128 tokens and writes on one core, by kernel."""
    return {kernel: Speed(**found) for kernel, found in _stored()["speeds"].items()}


def _stored() -> dict:
    file = resources.files("labkit.data") / "language_results.json"
    return json.loads(file.read_text(encoding="utf-8"))
