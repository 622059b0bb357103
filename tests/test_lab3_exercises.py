"""What lab 3 teaches is what `labkit.kernels` does, bit for bit."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from labkit import kernels
from labkit.checks import registry
from labkit.checks.calling import call_all
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.checks.verdict import State, judge
from labkit.linear import QParams, Scheme

TAUGHT = {e.function: e.reference for e in registry.exercises(3)}
SEEDS = st.integers(0, 2**32)
MULTIPLIERS = st.floats(2**-20, 8, exclude_min=True)
CODES = st.integers(-128, 127)


def drawn(seed: int, *shape: int, low: int = -128, high: int = 127) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(low, high + 1, shape, generator=rng)


def grid(scale: float, zero_point: int) -> QParams:
    return QParams(torch.tensor(scale), torch.tensor(zero_point), Scheme(8))


@given(SEEDS, st.integers(1, 6), st.integers(1, 40), st.integers(1, 6), CODES, CODES)
def test_both_products(seed, rows, length, columns, z_lhs, z_rhs):
    lhs, rhs = drawn(seed, rows, length).char(), drawn(seed + 1, length, columns).char()
    assert torch.equal(TAUGHT["gemm"](lhs, rhs), kernels.gemm(lhs, rhs))
    corrected = TAUGHT["gemm_with_zero_points"](lhs, rhs, z_lhs, z_rhs).int()
    assert torch.equal(corrected, kernels.gemm(lhs, rhs, z_lhs, z_rhs))
    bias = drawn(seed + 2, columns, low=-9999, high=9999).int()
    folded = TAUGHT["gemm"](lhs, rhs) + TAUGHT["fold_zero_point"](bias, rhs.t(), z_lhs)
    assert torch.equal(folded.int(), kernels.gemm(lhs, rhs, z_lhs) + bias)


@given(MULTIPLIERS)
def test_mantissa_and_shift(m):
    mantissa, shift = kernels.quantize_multiplier(m)
    assert TAUGHT["quantize_multiplier"](m) == (int(mantissa), int(shift))


@given(st.integers(-(2**62), 2**62), st.integers(0, 40))
def test_the_rounding_shift(x, shift):
    taught = TAUGHT["rounding_right_shift"](torch.tensor([x]), shift)
    assert torch.equal(taught, kernels.rounding_right_shift(torch.tensor([x]), shift))
    assert abs((int(taught) << shift) - x) <= 2**shift // 2


@given(SEEDS, st.one_of(MULTIPLIERS, st.sampled_from([0.5, 0.25, 2**-7, 1.0])), CODES)
def test_requantize_by_the_rule_single(seed, m, zero_point):
    acc = drawn(seed, 50, low=-(2**20), high=2**20).int()
    pair = TAUGHT["quantize_multiplier"](m)
    for relu in (False, True):
        kind = "relu" if relu else "none"
        low, high = TAUGHT["activation_range"](kind, 0.1, zero_point, -128, 127)
        taught = TAUGHT["requantize"](acc, *pair, zero_point, low, high)
        out = grid(0.1, zero_point)
        kernel = kernels.requantize(acc, m, out, rounding="single", relu=relu)
        assert torch.equal(taught.char(), kernel)


@given(SEEDS, st.floats(2**-10, 8, width=32), st.floats(2**-10, 8, width=32))
def test_the_bias(seed, x_scale, w_scale):
    bias = torch.randn(9, generator=torch.Generator().manual_seed(seed))
    taught = TAUGHT["quantize_bias"](bias, x_scale, w_scale)
    assert torch.equal(taught, kernels.quantize_bias(bias, grid(x_scale, 0), grid(w_scale, 0)))


@given(SEEDS, st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), CODES)
def test_im2col(seed, kernel_size, stride, padding, zero_point):
    image = drawn(seed, 2, 5, 4).char()
    taught = TAUGHT["im2col"](image, kernel_size, stride, padding, zero_point)
    kernel = kernels.im2col(image[None], kernel_size, stride, padding, zero_point=zero_point)
    assert torch.equal(taught.char(), kernel)


@given(SEEDS, MULTIPLIERS, CODES, CODES)
def test_the_linear_layer(seed, m, x_zero_point, zero_point):
    q_x, q_w = drawn(seed, 3, 8).char(), drawn(seed + 1, 5, 8, low=-127).char()
    q_bias = drawn(seed + 2, 5, low=-(2**15), high=2**15).int()
    pair = TAUGHT["quantize_multiplier"](m)
    taught = TAUGHT["integer_linear"](q_x, q_w, q_bias, x_zero_point, *pair, zero_point, -128, 127)
    acc = kernels.gemm(q_x, q_w.t(), x_zero_point)
    out = grid(0.1, zero_point)
    kernel = kernels.requantize(acc, m, out, rounding="single", bias=q_bias)
    assert torch.equal(taught.char(), kernel)


def test_a_multiplier_of_floats_is_almost_right():
    exercise = next(e for e in registry.exercises(3) if e.id == "3.5")

    def floats(multiplier):
        return tuple(map(float, exercise.reference(multiplier)))

    cases = exercise.draw(NOTEBOOK_SEED)
    found = judge(exercise, cases, call_all(floats, cases))
    assert found.state is State.ALMOST
    assert "expected an integer" in found.failure.problem
