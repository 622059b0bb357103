"""What enters and leaves an integer network."""

import pytest
import torch

from labkit.linear import LARGEST, dequantize, quantize
from labkit.ptq.movers import Dequantize, Quantize
from labkit.qparams import QParams, Scheme


@pytest.mark.parametrize("bits", [2, 8])
@pytest.mark.parametrize("scale", [1e-30, 0.02, 2e36])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_doors_and_exits_are_those_of_the_formulas(bits, scale, dtype):
    """Everything constant is prepared; ties, saturation and the largest numbers come out alike."""
    grid = QParams(scale, 1, Scheme(bits, signed=False))
    steps = torch.arange(-600, 600) / 2
    x = (steps * grid.scale.double()).clamp(-LARGEST, LARGEST).to(dtype)
    q = Quantize(grid)(x)
    assert q.equal(quantize(x, grid))
    assert Dequantize(grid)(q).equal(dequantize(q, grid))


def test_a_door_is_closed_to_what_has_no_code():
    with pytest.raises(ValueError, match="x is nan"):
        Quantize(QParams(0.1, 3, Scheme(8)))(torch.tensor(torch.nan))
