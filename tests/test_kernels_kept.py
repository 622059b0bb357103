"""What is kept for one image gives the integers of all other roads."""

import pytest
import torch

from labkit.kernels import QuantizedConv2d, engines, kept
from labkit.linear import choose_qparams, from_range, quantize
from labkit.qparams import Scheme

UINT8, INT8 = Scheme(8, signed=False), Scheme(8, symmetric=True, narrow=True)

pytestmark = pytest.mark.skipif(
    not (engines.usable() and kept.usable()), reason="torch lacks these operators here"
)


def layer(groups, size, relu, backend, out_scheme=UINT8, seed=0):
    draw = torch.Generator().manual_seed(seed)
    w = torch.randn(16, 16 // groups, size, size, generator=draw)
    # Multipliers that are powers of two: many results are ties.
    scales = 2.0 ** torch.randint(-9, -5, (16,), generator=draw)
    w_qparams = from_range(-127 * scales, 127 * scales, INT8, axis=0)
    x_qparams, out_qparams = from_range(-1.0, 3.0, UINT8), from_range(-2.0, 6.0, out_scheme)
    bias = torch.randn(16, generator=draw)
    operands = (quantize(w, w_qparams), w_qparams, bias, x_qparams, out_qparams)
    return QuantizedConv2d(*operands, relu, backend, (1, 1), (size // 2,) * 2, (1, 1), groups)


@pytest.mark.parametrize(("groups", "size"), [(16, 3), (1, 1)])
@pytest.mark.parametrize("relu", [False, True])
def test_one_image_gives_the_codes_of_the_formulas(groups, size, relu):
    fast, slow = (layer(groups, size, relu, backend) for backend in ("torch", "reference"))
    draw = torch.Generator().manual_seed(1)
    for _ in range(40):
        q = torch.randint(0, 256, (1, 16, 9, 7), generator=draw, dtype=torch.uint8)
        assert fast(q).equal(slow(q))
    assert fast._road._kept is not None


def test_other_sizes_and_batches_come_out_right_after_it():
    fast, slow = (layer(16, 3, True, backend) for backend in ("torch", "reference"))
    draw = torch.Generator().manual_seed(2)
    for shape in ((1, 16, 9, 7), (1, 16, 5, 5), (3, 16, 9, 7), (1, 16, 9, 7), (2, 16, 5, 5)):
        q = torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8)
        assert fast(q).equal(slow(q))
    assert fast._road._kept_for == torch.Size((1, 16, 9, 7))


def test_codes_with_a_sign_go_another_way():
    fast, slow = (layer(1, 1, False, backend, Scheme(8)) for backend in ("torch", "reference"))
    q = torch.randint(0, 256, (1, 16, 4, 4), dtype=torch.uint8)
    assert fast(q).equal(slow(q))
    assert fast._road._kept is None


def test_what_does_not_finish_to_the_last_bit_is_not_used(monkeypatch):
    class Off(kept.KeptConvolution):
        def __call__(self, x):
            return super().__call__(x) ^ 1

    monkeypatch.setattr(kept, "KeptConvolution", Off)
    assert not kept.usable.__wrapped__()
    fast, slow = (layer(1, 1, True, backend) for backend in ("torch", "reference"))
    q = torch.randint(0, 256, (1, 16, 4, 4), dtype=torch.uint8)
    assert fast(q).equal(slow(q))
    assert fast(q).equal(slow(q))
    assert fast._road._kept is None


def test_torchs_own_engine_stays_what_it_was():
    before = torch.backends.quantized.engine
    q = torch.zeros(1, 16, 4, 4, dtype=torch.uint8)
    layer(1, 1, True, "torch")(q)
    assert torch.backends.quantized.engine == before
    assert choose_qparams(torch.ones(3), UINT8).axis is None
