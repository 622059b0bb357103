"""Steps without weights in fixed point: at most a code from float32, and exact where it counts."""

from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from test_fixed_stage import away

from labkit.ptq import fixed_point, operators
from labkit.qparams import QParams, Scheme

U8 = Scheme(8, signed=False)
A, B, OUT = QParams(0.02, 100, U8), QParams(0.013, 7, U8), QParams(0.031, 128, U8)


def codes(*shape, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8)


def close(one, two):
    """Equal but for ties and nearly ties."""
    apart = (one.int() - two.int()).abs()
    assert one.dtype == two.dtype
    assert int(apart.max()) <= 1
    assert float((apart > 0).float().mean()) < 0.01


PAIRS = {
    "add": lambda kit: (kit.Add([A, B], OUT, False), [(2, 3, 8, 8), (2, 3, 8, 8)]),
    "difference": lambda kit: (kit.Add([A, B], OUT, True, [1, -1]), [(2, 3, 8, 8), (1, 3, 1, 1)]),
    "multiply": lambda kit: (kit.Multiply([A, B], OUT, False), [(2, 3, 8, 8), (2, 3, 1, 1)]),
    "concatenate": lambda kit: (kit.Concatenate([A, B], OUT), [(2, 3, 8, 8), (2, 1, 8, 8)]),
    "windows": lambda kit: (
        kit.AveragePool(A, OUT, kernel_size=[3, 3], stride=[2, 2], padding=[1, 1]),
        [(2, 3, 9, 9)],
    ),
    "whole image": lambda kit: (
        kit.AveragePool(A, OUT, output_size=[1, 1], flat=True),
        [(9, 30, 7, 7)],
    ),
    "uneven windows": lambda kit: (kit.AveragePool(A, OUT, output_size=[3, 2]), [(9, 5, 7, 9)]),
}


@pytest.mark.parametrize("name", PAIRS)
def test_they_agree_with_float32_but_for_ties(name):
    (one, shapes), (two, _) = PAIRS[name](operators), PAIRS[name](fixed_point)
    inputs = [codes(*shape, seed=i) for i, shape in enumerate(shapes)]
    close(one(*inputs), two(*inputs))


SETTINGS = {
    "mean": {"function": "mean", "arguments": [{"input": 0}, [2, 3]]},
    "sum": {"function": "sum", "arguments": [{"input": 0}, 1], "keywords": {"keepdim": True}},
    "sums so far": {"function": "cumsum", "arguments": [{"input": 0}, 2]},
    "bilinear": {
        "function": "interpolate",
        "arguments": [{"input": 0}],
        "keywords": {"size": [11, 4], "mode": "bilinear"},
    },
    "uncounted": {
        "function": "avg_pool2d",
        "arguments": [{"input": 0}, 3, 2, 1, True, False],
    },
}


@pytest.mark.parametrize("name", SETTINGS)
def test_combinations_agree_with_float32_but_for_ties(name):
    wide = QParams(0.1, 128, U8)
    one, two = (kit.Combination(A, wide, SETTINGS[name]) for kit in (operators, fixed_point))
    close(one(codes(5, 6, 8, 9)), two(codes(5, 6, 8, 9)))


def test_an_addition_is_exact_to_its_mantissas():
    step = fixed_point.Add([A, B], OUT, False)
    q_a, q_b = codes(500), codes(500, seed=1)
    mantissas, shift = step.rounding.mantissas, step.rounding.shift
    for a, b, q in zip(q_a.tolist(), q_b.tolist(), step(q_a, q_b).tolist(), strict=True):
        total = (a - 100) * mantissas[0] + (b - 7) * mantissas[1]
        assert q == min(max(away(Fraction(total, 2**shift)) + 128, 0), 255)


def test_ties_go_away_from_zero():
    half = QParams(0.5, 128, U8)
    step = fixed_point.Rescale(half, QParams(1.0, 128, U8))
    q_x = torch.tensor([125, 127, 128, 129, 131], dtype=torch.uint8)
    assert step(q_x).tolist() == [126, 127, 128, 129, 130]


def test_what_goes_along_two_axes_at_once_is_refused():
    rescale = fixed_point.Rescale(A, OUT)
    matrices = fixed_point.Matrices(lambda x: x + x.transpose(-1, -2), rescale)
    with pytest.raises(ValueError, match="does not go axis by axis"):
        matrices(codes(1, 1, 4, 4))
    plain = fixed_point.Matrices(lambda x: F.avg_pool2d(x, 2), rescale)
    assert plain(codes(1, 1, 4, 4)).shape == (1, 1, 2, 2)
