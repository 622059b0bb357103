"""Data of every shape that calibration meets, shared by its tests."""

import torch

LARGE = 3e38


def draw(kind, n, seed=0):
    """Return `n` float32 values of a named kind."""
    g = torch.Generator().manual_seed(seed)
    normal = torch.randn(n, generator=g)
    uniform = torch.rand(n, generator=g)
    return {
        "normal": lambda: normal,
        "relu": lambda: normal.relu(),
        "uniform": lambda: uniform,
        "far from zero": lambda: 5 + uniform,
        "negative": lambda: -normal.abs(),
        "gelu": lambda: torch.nn.functional.gelu(normal),
        "heavy tails": lambda: normal / uniform.clamp(min=1e-6),
        "bimodal": lambda: torch.where(uniform < 0.5, normal * 0.05 + 1, normal * 0.5 - 3),
        "two values": lambda: torch.where(uniform < 0.9, -0.3, 1.7),
        "whole numbers": lambda: (uniform * 11).floor(),
        "pixels": lambda: (uniform * 256).floor() / 255,
        "one outlier": lambda: torch.cat([normal[1:], torch.tensor([1e4])]),
        "mostly zero": lambda: torch.where(uniform < 0.999, 0.0, normal),
        "all zero": lambda: torch.zeros(n),
        "constant": lambda: torch.full((n,), 0.1),
        "subnormal": lambda: normal * 1e-40,
        "tiny": lambda: normal * 1e-36,
        "huge": lambda: (normal / normal.abs().max()) * LARGE,
        "all sizes": lambda: normal.sign() * 10 ** (uniform * 76 - 38),
    }[kind]()


KINDS = (
    *("normal", "relu", "uniform", "far from zero", "negative", "gelu", "heavy tails", "bimodal"),
    *("two values", "whole numbers", "pixels", "one outlier", "mostly zero", "all zero"),
    *("constant", "subnormal", "tiny", "huge", "all sizes"),
)
