"""The text of the lab: 40,000 lines from Shakespeare's plays ("tinyshakespeare").

It is in the public domain; Andrej Karpathy put it together (2015). 60,000 characters are held out:
neither the built-in model nor any calibration sees them.
"""

import functools
import lzma
from importlib import resources

__all__ = ["TEXTS", "load_text", "training_texts"]

# Characters of the file, from and to.
TEXTS = {"held-out": (200_000, 260_000), "calibration": (600_000, 660_000)}


def load_text(name: str) -> str:
    """Return a part of the text.

    Parameters
    ----------
    name : str
        "held-out": 60,000 characters that no model was trained or calibrated on; or "calibration":
        60,000 others, which belong to those that the built-in model was trained on.

    Raises
    ------
    ValueError
        If there is no such part.
    """
    if name not in TEXTS:
        raise ValueError(f"name is {name!r}; expected one of {tuple(TEXTS)}.")
    start, end = TEXTS[name]
    return _whole()[start:end]


def training_texts() -> tuple[str, str]:
    """Return what the built-in model is trained on: all before, and all after what is held out."""
    start, end = TEXTS["held-out"]
    return _whole()[:start], _whole()[end:]


@functools.cache
def _whole() -> str:
    path = resources.files("labkit.data") / "tinyshakespeare.txt.xz"
    return lzma.decompress(path.read_bytes()).decode("utf-8")
