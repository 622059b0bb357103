"""An error in a student's code, said in two lines: what was raised, and on which of their lines."""

import linecache
import sysconfig
import traceback
from pathlib import Path
from types import FunctionType

import numpy as np
import torch

from labkit.checks.values import steady

# A student's code lies in none of these: labkit, the standard library, installed packages.
INSTALLED = tuple(
    {
        str(Path(__file__).resolve().parents[1]),
        str(Path(torch.__file__).parent),
        str(Path(np.__file__).parent),
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    }
)


def explain(error: BaseException, answer: object = None) -> str:
    """Say what was raised and on which line of the student's code, without a traceback.

    A line in the cell of `answer` goes before one in a function of an earlier cell that it calls.
    """
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    lines = text.splitlines()
    shown = lines[0] if lines else text
    own = answer.__code__.co_filename if isinstance(answer, FunctionType) else None
    frame = _students_frame(error, own)
    if frame is not None:
        source = linecache.getline(frame.filename, frame.lineno or 0).strip()
        at = f"line {frame.lineno} of {_place(frame.filename, frame.name)}"
    elif isinstance(error, SyntaxError) and error.lineno:
        source = (error.text or "").strip()
        at = f"line {error.lineno} of {_place(error.filename or '', '<module>')}"
    else:
        return steady(shown)
    return steady(f"{shown}\nat {at}: {source}" if source else f"{shown}\nat {at}")


def _students_frame(error: BaseException, own: str | None) -> traceback.FrameSummary | None:
    """Return the innermost frame in the file `own`, or else in code that the student wrote."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((*INSTALLED, "<frozen"))
    ]
    frames = [frame for frame in frames if frame.filename == own] or frames
    return frames[-1] if frames else None


def _place(file: str, function: str) -> str:
    """Name a function, or the cell where the line stands in none."""
    if function != "<module>":
        return function
    return file.strip("<>") if file.startswith("<") else "its cell"
