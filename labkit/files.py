"""Files that are whole or not there, whenever the program or the machine stops."""

import os
import secrets
from pathlib import Path


def write_whole(path: Path, content: str | bytes, mode: int = 0o666) -> None:
    """Write text in UTF-8, or bytes, to `path`: a crash leaves the old file or the new one.

    A file that holds it already is left alone.

    Parameters
    ----------
    path : Path
        Where to; folders that are missing are made.
    content : str or bytes
        All that the file is to hold.
    mode : int
        Who may read and write a new file, before the umask has its say.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
    if path.is_file() and path.read_bytes() == data:
        return
    partial = path.parent / f".{secrets.token_hex(8)}.partial"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(partial, flags, mode), "wb") as file:
            file.write(data)
            file.flush()
            # Else a power cut could leave the new name on an empty file.
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def remove_partials(folder: Path) -> None:
    """Remove what a killed run left half written."""
    for path in folder.glob(".*.partial"):
        path.unlink()
