"""What may go wrong between a real number and its code: rounding, clamping, the dtype."""

from collections.abc import Callable

import numpy as np

from labkit.checks.diagnosis.explanations.relations import WRAPS, Array, remainder

# Each is a name, what comes of the real numbers and the ends of the range, and how it reads.
ROUNDINGS: tuple[tuple[str, Callable[[Array, int, int], Array], str], ...] = (
    (
        "rounded down",
        lambda r, low, high: np.floor(r).clip(low, high),
        "Your code rounds down where the nearest integer belongs. (A conversion to integers does "
        "so with positive numbers.)",
    ),
    (
        "rounded up",
        lambda r, low, high: np.ceil(r).clip(low, high),
        "Your code rounds up where the nearest integer belongs.",
    ),
    (
        "cut off",
        lambda r, low, high: np.trunc(r).clip(low, high),
        "Your code cuts the decimals off, as a conversion to integers does, where the nearest "
        "integer belongs: round first.",
    ),
    (
        "half up",
        lambda r, low, high: np.floor(r + 0.5).clip(low, high),
        "Your code rounds ties up (2.5 to 3, -2.5 to -2).",
    ),
    (
        "half away",
        lambda r, low, high: (np.sign(r) * np.floor(np.abs(r) + 0.5)).clip(low, high),
        "Your code rounds ties away from zero (2.5 to 3, -2.5 to -3).",
    ),
    (
        "not rounded",
        lambda r, low, high: r.clip(low, high),
        "Your code does not round: codes are whole numbers. Use `torch.round`.",
    ),
    (
        "not clamped",
        lambda r, low, high: np.round(r),
        "Your code does not clamp: numbers beyond the ends stay there.",
    ),
    (
        "neither rounded nor clamped",
        lambda r, low, high: r,
        "Your code neither rounds nor clamps.",
    ),
    (
        "clamped from above only",
        lambda r, low, high: np.minimum(np.round(r), high),
        "Your code clamps at the upper end only: clamp at the lower end as well.",
    ),
    (
        "clamped from below only",
        lambda r, low, high: np.maximum(np.round(r), low),
        "Your code clamps at the lower end only: clamp at the upper end as well.",
    ),
    (
        "0 beyond the ends",
        lambda r, low, high: np.where((np.round(r) < low) | (np.round(r) > high), 0, np.round(r)),
        "Your code gives 0 to what lies beyond the ends: it belongs at the nearer end.",
    ),
    (
        "the upper end beyond both ends",
        lambda r, low, high: np.where(np.round(r) < low, high, np.round(r).clip(low, high)),
        "Your code gives the upper end to what lies below the lower one: it belongs at the nearer "
        "end.",
    ),
    (
        "the lower end beyond both ends",
        lambda r, low, high: np.where(np.round(r) > high, low, np.round(r).clip(low, high)),
        "Your code gives the lower end to what lies above the upper one: it belongs at the nearer "
        "end.",
    ),
    (
        "wrapped into the range",
        lambda r, low, high: low + (np.round(r) - low) % (high - low + 1),
        "Your code wraps what lies beyond the ends round to the other end, as a remainder does: "
        "clamp it to the nearer end.",
    ),
    *(
        (
            f"wrapped to {b} bits",
            lambda r, low, high, b=b, s=s: remainder(
                np.nan_to_num(np.round(r)), b, 1 << b - 1 if s else 0
            ),
            WRAPS.format(b=b),
        )
        for b in (8, 16, 32)
        for s in (True, False)
    ),
)
