"""Whether wrong numbers are such that two different slips would not give them by chance."""

from labkit.checks.diagnosis.evidence import Evidence
from labkit.checks.values import as_array

FEW_NUMBERS = 2
MANY = 6


def tells(evidence: Evidence, component: int | None) -> bool:
    """Return whether the wrong numbers are such that two slips would not agree by chance.

    Parameters
    ----------
    evidence : Evidence
        The calls.
    component : int, optional
        Which of several results is looked at; None for all.
    """
    seen: set[float] = set()
    everything: set[float] = set()
    count = 0
    only_wrong = evidence.wrong_components()
    for i in evidence.wrong:
        masks = evidence.wrong_parts[i]
        for c, part in enumerate(evidence.parts(evidence.got(i))):
            array = as_array(part)
            if array is None or component not in (None, c) or (only_wrong and c not in only_wrong):
                continue
            values = array.astype(float).reshape(-1)
            mask = masks[c] if masks is not None and c < len(masks) else None
            if mask is not None:
                everything |= set(values[:50].tolist())
                values = values[mask.reshape(-1)]
            count += len(values)
            seen |= set(values[:50].tolist())
    finite = {v for v in seen if v == v and abs(v) != float("inf")} - {0.0}
    among_others = len(everything) >= FEW_NUMBERS and count >= MANY  # which ones are wrong tells
    return len(finite) >= FEW_NUMBERS or among_others or any(map(_is_odd, finite))


def _is_odd(value: float) -> bool:
    """Whether no two slips give this number by chance: it is no small count and no plain part."""
    return abs(value) > 256 or (8 * value) % 1 != 0
