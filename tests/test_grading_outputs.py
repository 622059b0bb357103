"""Outputs are passed over, whatever they hold; all else of a notebook stays."""

import io
import json
import random
from typing import Any

import pytest

from labkit.grading.submission import outputs
from labkit.grading.submission.outputs import TooLarge, without_outputs


def value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(7)
    if kind == 0 or depth > 4:
        return rng.choice([1, None, 'a"b\\', "outputs", "{[", "}],:", 1.5, ""])
    if kind < 4:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    keys = ("outputs", "cells", "source", "a\\", "attachments", "widgets", "metadata")
    return {rng.choice(keys): value(rng, depth + 1) for _ in range(rng.randrange(4))}


def expected(notebook: dict[str, Any]) -> dict[str, Any]:
    for cell in notebook["cells"]:
        if isinstance(cell, dict):
            cell.update({key: [] for key in ("outputs", "attachments") if key in cell})
    if isinstance(notebook["metadata"], dict) and "widgets" in notebook["metadata"]:
        notebook["metadata"]["widgets"] = []
    return notebook


@pytest.mark.parametrize("piece", [1, 2, 7, 100])
def test_nothing_but_outputs_is_lost(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "PIECE", piece)
    rng = random.Random(piece)
    for _ in range(150):
        cells = [{"source": value(rng), "outputs": value(rng), "x": value(rng)} for _ in range(3)]
        notebook = {"metadata": value(rng), "cells": [*cells, value(rng)], "outputs": value(rng)}
        text = json.dumps(notebook, indent=rng.choice([None, 1]))
        assert json.loads(without_outputs(io.BytesIO(text.encode()))) == expected(notebook)


def test_outputs_may_hold_what_no_json_may() -> None:
    text = b'{"cells": [{"outputs": [NaN, {"a": [Infinity]}], "source": "x"}]}'
    assert json.loads(without_outputs(io.BytesIO(text))) == {
        "cells": [{"outputs": [], "source": "x"}]
    }


def test_what_is_kept_has_limits_and_what_is_passed_over_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outputs, "LARGEST", 1000)
    monkeypatch.setattr(outputs, "MOST_VALUES", 100)
    many = b'{"cells": [{"outputs": [' + b"0," * 10_000 + b'0], "source": "x"}]}'
    assert len(without_outputs(io.BytesIO(many))) < 100
    for large in (b'{"cells": ["' + b"x" * 1001, b"[" + b"0," * 200):
        with pytest.raises(TooLarge):
            without_outputs(io.BytesIO(large))
