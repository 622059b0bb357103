"""The files in a folder or a zip, none of which can do harm by being read.

Names lead nowhere but into the tree, links are not followed, and nothing is unpacked further than a
limit, whatever its header says.
"""

import io
import os
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from labkit.grading.collecting.students import is_rubbish, parts
from labkit.grading.kinds import what_it_is

LARGEST = 128 << 20  # bytes of one file
MOST_FILES = 100_000
LONGEST_NAME = 200  # bytes of one part of a path
DEEPEST = 50
EMPTY = "an empty folder"
ASTRAY = "its path leads out of the archive"
UTF_8_FLAG, ENCRYPTED_FLAG = 0x800, 0x1
DRIVE = re.compile(r"[A-Za-z]:")


class Unreadable(ValueError):
    """A file that is not taken; the message says why."""


@dataclass(frozen=True)
class Member:
    """A file in a folder or a zip.

    Attributes
    ----------
    path : tuple of str
        Where it lies, from the top.
    problem : str
        Why it cannot be read; empty if it can.
    """

    path: tuple[str, ...]
    problem: str
    _read: Callable[[], bytes]

    @property
    def name(self) -> str:
        """The path as people write it."""
        return "/".join(self.path)

    def read(self) -> bytes:
        """Return what the file holds.

        Raises
        ------
        Unreadable
            If it is damaged, too large, or what `problem` says.
        """
        if self.problem:
            raise Unreadable(self.problem)
        try:
            data = self._read()
        except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise Unreadable(f"cannot be read ({str(error)[:80]})") from None
        if len(data) > LARGEST:
            raise Unreadable(f"larger than {LARGEST >> 20} MiB")
        return data


@contextmanager
def members(source: Path) -> Iterator[list[Member]]:
    """Yield the files in a folder or a zip.

    Raises
    ------
    ValueError
        If `source` is neither.
    """
    if source.is_dir():
        yield _limited(_in_folder(source), source.name)
        return
    data = source.open("rb")
    with data:
        if not zipfile.is_zipfile(data):
            data.seek(0)
            kind = what_it_is(data.read(1 << 16)) or "something else"
            raise ValueError(f"{source} is {kind}; expected a zip or a folder.")
        with _zip(data, source.name) as archive:
            yield _limited(_in_zip(archive), source.name)


def inner(data: bytes, name: str) -> list[Member]:
    """Return the files in a zip that a student handed in, from what it holds and its name.

    Raises
    ------
    Unreadable
        If it is none.
    """
    try:
        return _limited(_in_zip(_zip(io.BytesIO(data), name)), name)
    except ValueError as error:
        raise Unreadable(str(error)) from None


def _zip(data: IO[bytes], name: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(data)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise ValueError(f"{name} is a damaged zip ({str(error)[:80]}).") from None


def _limited(found: Iterator[Member], name: str) -> list[Member]:
    taken = []
    for member in found:
        taken.append(member)
        if len(taken) > MOST_FILES:
            raise ValueError(f"{name} holds more than {MOST_FILES} files.")
    return taken


def _in_folder(folder: Path) -> Iterator[Member]:
    def stop(error: OSError) -> None:
        raise error

    for where, folders, files in os.walk(folder, onerror=stop):
        folders[:] = sorted(name for name in folders if not is_rubbish(name))
        if not [*files, *folders] and where != str(folder):
            yield _member(Path(where).relative_to(folder).parts, EMPTY, bytes)
        for name in sorted([*files, *folders]):
            path = Path(where, name)
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode) or is_rubbish(name):
                continue
            problem = "" if stat.S_ISREG(mode) else "a link or no regular file"
            steps = (*path.parent.relative_to(folder).parts, *parts(name))
            yield _member(steps, problem, partial(_read_file, path))


def _in_zip(archive: zipfile.ZipFile) -> Iterator[Member]:
    folders: dict[tuple[str, ...], None] = {}
    filled: set[tuple[str, ...]] = set()
    for info in archive.infolist():
        name = _decoded(info)
        steps = name.replace("\\", "/").split("/")
        if any(is_rubbish(step) for step in steps):
            continue
        if info.is_dir() or not steps[-1]:
            folders[tuple(filter(None, steps))] = None
            continue
        filled |= {tuple(steps[:depth]) for depth in range(1, min(len(steps), DEEPEST))}
        mode = info.external_attr >> 16
        problem = ""
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            problem = "a link or no regular file"
        elif info.flag_bits & ENCRYPTED_FLAG:
            problem = "needs a password"
        elif info.file_size > LARGEST:
            problem = f"larger than {LARGEST >> 20} MiB"
        elif name.startswith("/") or DRIVE.match(name):
            problem = ASTRAY
        yield _member(
            tuple(step for step in steps if step not in ("", ".")),
            problem,
            partial(_read_entry, archive, info),
        )

    filled |= {path[:depth] for path in folders for depth in range(1, min(len(path), DEEPEST))}
    for path in folders:
        if path and path not in filled:
            yield _member(path, EMPTY, bytes)


def _member(steps: tuple[str, ...], problem: str, read: Callable[[], bytes]) -> Member:
    path = tuple(unicodedata.normalize("NFC", step) for step in steps)
    if ".." in path:
        problem = ASTRAY
    elif any(len(os.fsencode(step)) > LONGEST_NAME for step in path):
        problem = "its name is too long"
    elif any("\0" in step for step in path):
        problem = "its name holds a character that no file has"
    return Member(path, problem, read)


def _read_file(path: Path) -> bytes:
    return _head(path.open("rb"))


def _read_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    return _head(archive.open(info))


def _head(file: IO[bytes]) -> bytes:
    """Return a file up to a byte more than it may have."""
    with file:
        return file.read(LARGEST + 1)


def _decoded(info: zipfile.ZipInfo) -> str:
    """Return a name of which a program without UTF-8 in its zips wrote the bytes all the same."""
    if not info.flag_bits & UTF_8_FLAG:
        try:
            return info.filename.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return info.filename
