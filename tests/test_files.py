"""A file is the old one or the new one, whenever it stops."""

import os
import stat
from pathlib import Path

import pytest

from labkit.files import remove_partials, write_whole
from labkit.grading.files import write_private, zipped


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_whole(path, "one")
    write_whole(path, "two")
    assert path.read_text() == "two"
    assert [p.name for p in path.parent.iterdir()] == ["file"]
    before = path.stat().st_ino
    write_whole(path, "two")
    assert path.stat().st_ino == before


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".x.partial").write_text("half")
    (tmp_path / "kept").write_text("")
    remove_partials(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_bytes_and_text_that_no_encoding_holds_are_written(tmp_path: Path) -> None:
    write_whole(tmp_path / "bytes", b"\0\r\n")
    assert (tmp_path / "bytes").read_bytes() == b"\0\r\n"
    write_whole(tmp_path / "text", "half \ud800\n")
    assert (tmp_path / "text").read_bytes() == b"half \\ud800\n"


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
def test_results_are_for_whoever_grades_and_other_files_for_all(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "lab", "x")
        write_private(tmp_path / "grades", "x")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("lab", "grades")]
    assert modes == [0o644, 0o600]


def test_the_same_files_give_the_same_zip() -> None:
    entries = [("a/b.txt", b"x" * 100), ("c", b"")]
    assert zipped(entries) == zipped(entries)
