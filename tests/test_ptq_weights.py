"""The grid of weights with the smallest squared error is that of trying them all."""

import pytest
import torch

from labkit.linear import choose_qparams, fake_quantize, from_range
from labkit.ptq import weights as module
from labkit.ptq.weights import RATIOS, weight_qparams
from labkit.qparams import QParams, Scheme

SCHEMES = (
    Scheme(8, symmetric=True, narrow=True),
    Scheme(8, signed=False),
    Scheme(4, symmetric=True),
    Scheme(3),
    Scheme(2),
)
ROWS = {
    "normal": lambda draw: torch.randn(6, 40, generator=draw),
    "heavy tails": lambda draw: torch.randn(6, 40, generator=draw) ** 3,
    "of one sign": lambda draw: torch.rand(6, 40, generator=draw) + 3,
    "a dead row, and a tiny one": lambda draw: (
        torch.randn(6, 40, generator=draw) * torch.tensor([0, 1e-30, 1, 1, 1, 1])[:, None]
    ),
}


def by_trying_all(row, scheme):
    """The first of the ratios with the smallest squared error, one row at a time."""
    grids = [from_range(row.amin() * r, row.amax() * r, scheme) for r in RATIOS]
    errors = [float((fake_quantize(row, g).double() - row.double()).square().sum()) for g in grids]
    return grids[errors.index(min(errors))], min(errors)


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("tile", [16, module.TILE])
def test_the_best_of_all_shares_is_found(monkeypatch, rows, scheme, tile):
    monkeypatch.setattr(module, "TILE", tile)
    weight = rows(torch.Generator().manual_seed(0))
    found = weight_qparams(weight, scheme)
    for row, scale, zero_point in zip(weight, found.scale, found.zero_point, strict=True):
        best, least = by_trying_all(row, scheme)
        mine = QParams(scale, zero_point, scheme)
        error = float((fake_quantize(row, mine).double() - row.double()).square().sum())
        assert error <= least * (1 + 1e-6)  # a tie may fall either way
        assert scale == pytest.approx(float(best.scale), rel=0.02) or error == least


def test_the_layer_as_a_whole_and_groups_are_rows_too():
    weight = torch.randn(4, 24, generator=torch.Generator().manual_seed(1))
    scheme = SCHEMES[2]
    whole = weight_qparams(weight, scheme, per_channel=False)
    assert whole.scale == by_trying_all(weight.flatten(), scheme)[0].scale
    groups = weight_qparams(weight, scheme, group_size=8)
    wanted = [by_trying_all(g, scheme)[0].scale for g in weight.reshape(-1, 8)]
    assert groups.scale.flatten().tolist() == [float(s) for s in wanted]


def test_clipping_pays_at_few_bits():
    weight = torch.randn(8, 500, generator=torch.Generator().manual_seed(2))
    full = choose_qparams(weight, SCHEMES[2], axis=0)
    assert bool((weight_qparams(weight, SCHEMES[2]).scale < full.scale).all())
    assert weight_qparams(weight, SCHEMES[2], method="minmax").scale.equal(full.scale)
