"""A compiled network in this process: pictures in, codes out, through ctypes."""

import ctypes
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Program", "header", "name_in"]

SIZE = re.compile(r"^#define (\w+?)_([A-Z_]+?) (\d+)$", re.MULTILINE)


def name_in(folder: str | os.PathLike) -> str:
    """Return the name of the one program in a folder.

    Raises
    ------
    ValueError
        If there is none, or there are several.
    """
    names = sorted(p.stem for p in Path(folder).glob("*.h") if p.with_suffix(".c").is_file())
    if len(names) != 1:
        raise ValueError(
            f"{str(folder)!r} holds {'the programs ' + ', '.join(names) if names else 'no program'}"
            "; expected one that export_c wrote, or its name."
        )
    return names[0]


def header(folder: str | os.PathLike, name: str) -> dict[str, int]:
    """Return the numbers that the header of a program defines: PIXELS, LOGITS, ARENA and so on.

    Raises
    ------
    ValueError
        If there is no such header, or it is not one that `export_c` wrote.
    """
    path = Path(folder) / f"{name}.h"
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}; expected one that export_c wrote.")
    text = path.read_text("utf-8")
    found = {k[2]: int(k[3]) for k in SIZE.finditer(text) if k[1] == name.upper()}
    if not {"PIXELS", "LOGITS", "ARENA"} <= found.keys():
        raise ValueError(f"{str(path)!r} has no sizes; expected a header that export_c wrote.")
    return found


class Program:
    """A compiled network; called with pictures, it returns the codes of the logits.

    Parameters
    ----------
    folder : path
    name : str
        As given to `export_c`.
    library : path
        What `build` made.
    compiler : str
        What made it.

    Attributes
    ----------
    sizes : dict of str to int
        What the header defines.
    """

    def __init__(
        self, folder: str | os.PathLike, name: str, library: str | os.PathLike, compiler: str = ""
    ) -> None:
        self.name, self.library, self.compiler = name, Path(library), compiler
        self.sizes = header(folder, name)
        loaded = ctypes.CDLL(str(self.library.resolve()))
        self._run = getattr(loaded, f"{name}_run")
        self._class, self._margin = (
            getattr(loaded, f"{name}_{end}") for end in ("class", "margin")
        )
        self._run.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        for function in (self._class, self._margin):
            function.argtypes = [ctypes.c_void_p]

    def __call__(self, pixels: Any) -> np.ndarray:
        """Return the codes of the logits of some pictures.

        Parameters
        ----------
        pixels : array
            uint8 [N, height, width, channels]; without the channels, if there is one, or flat. What
            a camera gives if the program has a door, else codes of the first grid.

        Returns
        -------
        ndarray
            uint8 [N, logits], counted from the lowest code.

        Raises
        ------
        TypeError, ValueError
            If the pixels are no bytes, or of another shape.
        """
        pixels = np.asarray(pixels)
        if pixels.dtype != np.uint8:
            raise TypeError(
                f"pixels has dtype {pixels.dtype}; expected uint8: bytes from 0 to 255, not scaled "
                "and not normalized."
            )
        shapes = self._shapes()
        if pixels.shape[1:] not in shapes:
            raise ValueError(
                f"pixels has shape {pixels.shape}; expected [N] and one of "
                f"{', '.join(str(list(shape)) for shape in shapes)}: channels last."
            )
        dense = np.ascontiguousarray(pixels).reshape(len(pixels), -1)
        logits = np.zeros((len(pixels), self.sizes["LOGITS"]), np.uint8)
        start, size = dense.ctypes.data, dense.shape[1]
        out, width = logits.ctypes.data, logits.shape[1]
        for i in range(len(dense)):
            self._run(start + i * size, out + i * width)
        return logits

    def classes(self, logits: np.ndarray) -> np.ndarray:
        """Return the class of each picture, int64 [N], as the program finds it."""
        return self._each(self._class, logits)

    def margins(self, logits: np.ndarray) -> np.ndarray:
        """Return by how many codes each class leads, int64 [N], as the program finds it."""
        return self._each(self._margin, logits)

    def _each(self, function: Any, logits: np.ndarray) -> np.ndarray:
        dense = np.ascontiguousarray(logits, np.uint8).reshape(-1, self.sizes["LOGITS"])
        return np.array([function(row.ctypes.data) for row in dense], np.int64)

    def _shapes(self) -> list[tuple[int, ...]]:
        sizes = self.sizes
        shapes: list[tuple[int, ...]] = []
        if "HEIGHT" in sizes:
            image = (sizes["HEIGHT"], sizes["WIDTH"], sizes["CHANNELS"])
            shapes = [image, image[:2]] if image[2] == 1 else [image]
        return [*shapes, (sizes["PIXELS"],)]
