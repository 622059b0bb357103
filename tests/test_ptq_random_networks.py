"""Random networks of all operators: one answer on every road, and the right one.

`LABKIT_RANDOM_NETWORKS` says how many; the issue's 500 take some four minutes of a core.
"""

import functools
import os

import numpy as np
import onnx
import onnxruntime
import pytest
import saturating_runtime
import torch
from fake_quantized import compare
from other_networks import sqnr
from random_networks import STEPS, draw
from torch.utils._pytree import tree_leaves

from labkit.ptq import export_onnx, load, quantize_model, save
from labkit.ptq.plan import COMPUTING, KEEPING, output_names

pytestmark = pytest.mark.slow

SEEDS = range(int(os.environ.get("LABKIT_RANDOM_NETWORKS", "60")))
# A runtime rounds a tie the other way, and a later step may make a tie's code several.
LEAST = 30.0  # dB between the integers here and those of ONNX Runtime
MOST_TIES = 0.02  # of the codes of a tensor: halves between pixels, on the pixels' own grid


@functools.cache
def quantized(seed):
    model, inputs = draw(seed)
    found = quantize_model(model, [inputs], observer="minmax", weight_method="minmax")
    return model, inputs, found


@pytest.mark.parametrize("seed", SEEDS)
def test_every_road_gives_one_answer(seed, tmp_path):
    model, inputs, found = quantized(seed)
    # Fewer images, and values that calibration has not seen.
    unseen = tuple(1.5 * x[1:] for x in inputs)
    for images in (inputs, unseen):
        compared = compare(model, found, images)
        assert not [tensor for tensor in compared if tensor.wrong]
        assert all(tensor.ties <= MOST_TIES * tensor.codes + 2 for tensor in compared)
        with torch.no_grad():
            assert shapes(model(*images)) == shapes(found(*images))
    other = found.using(backend="reference")
    for (name, q), expected in zip(
        found.tensors(*unseen).items(), other.tensors(*unseen).values(), strict=True
    ):
        assert torch.equal(q, expected), name
    save(found, tmp_path / "network")
    loaded = load(tmp_path / "network")
    for one, two in zip(tree_leaves(found(*unseen)), tree_leaves(loaded(*unseen)), strict=True):
        assert torch.equal(one, two)
    check_exported(found, unseen, tmp_path / "network.onnx")


def shapes(results):
    return [tuple(x.shape) for x in tree_leaves(results)]


def check_exported(model, inputs, path):
    """Run a file in ONNX Runtime, fully optimized, and as where sums of two products saturate."""
    export_onnx(model, path, [tuple(x.shape[1:]) for x in inputs])
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feeds = {given.name: x.numpy() for given, x in zip(session.get_inputs(), inputs, strict=True)}
    file = onnx.load(path)
    saturating, exact = (saturating_runtime.run_all(file, feeds, pairs) for pairs in (True, False))
    for one, two in zip(saturating, exact, strict=True):
        assert np.array_equal(one, two)
    names, here = list(output_names(model.outputs)), tree_leaves(model(*inputs))
    export_onnx(model, path, [tuple(x.shape[1:]) for x in inputs], exact=True)
    integers = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for expected, result in zip(here, integers.run(None, feeds), strict=True):
        assert np.array_equal(expected.numpy(), result)
    for there in (session.run(None, feeds), exact):
        for name, expected, result in zip(names, here, there, strict=True):
            result = torch.from_numpy(result)
            assert result.shape == expected.shape
            steps = (result - expected).abs() / model.qparams[name].scale
            assert steps.max() < 1.01 or sqnr(expected, result) > LEAST


def test_they_have_steps_of_all_kinds_and_all_statements():
    kinds, statements = set(), set()
    for seed in SEEDS:
        model, _, found = quantized(seed)
        statements.update(model.named)
        kinds.update(step.kind for step in found.steps)
    assert kinds == {*COMPUTING, *KEEPING, "number"} - {"quantize"}
    assert {step.__name__ for steps in STEPS.values() for _, step in steps} <= statements
