"""What platforms hand out becomes one folder a student; hostile archives harm nobody."""

import io
import re
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from labkit.cli import main
from labkit.grading.collecting import archive
from labkit.grading.collecting.collect import MOST_NOTEBOOKS, Collected, collect

Tree = Mapping[str, bytes]
METADATA = b"""---
submission_42:
  :submitters:
  - :name: Ada Lovelace
    :sid: S1
    :email: ada@x.edu
  - :name: Grace Hopper
    :sid: S2
    :email:
  :created_at: 2026-01-31 10:00:00.000000000 Z
  :score: !ruby/object:BigDecimal 18:0.1e1
submission_43:
  :submitters:
  - :name: "Zo\xc3\xab O'Neill"
"""
MOODLE = {
    "Ada Lovelace_7_assignsubmission_file/lab1_linear.ipynb": b"ada",
    "Ada Lovelace_7_assignsubmission_onlinetext/onlinetext.html": b"text",
    "Grace Hopper_8_assignsubmission_file_/work/lab 1.ipynb": b"grace",
    "Wei_9_assignsubmission_file_lab1_linear.ipynb": b"wei",
    "Tom_10_assignsubmission_file/report.pdf": b"%PDF",
}
CANVAS = {
    "lovelaceada_101_5001_lab1_linear.ipynb": b"ada",
    "lovelaceada_101_5002_scratch.ipynb": b"scratch",
    "hoppergrace_LATE_102_5003_lab1_linear-2.ipynb": b"grace",
    "anon_aB3x_5004_lab1_linear.ipynb": b"anonymous",
    "liwei_103_text.html": b"text",
    "noether_104_link.html": b"link",
}


def zipped(tree: Tree) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in tree.items():
            made.writestr(name, data)
    return file.getvalue()


def as_zip(root: Path, tree: Tree) -> Path:
    path = root / "download.zip"
    path.write_bytes(zipped(tree))
    return path


def as_folder(root: Path, tree: Tree) -> Path:
    for name, data in tree.items():
        path = root / "download" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root / "download"


def files(out: Path) -> dict[str, bytes]:
    found = (path for path in sorted(out.rglob("*")) if path.is_file())
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


def left(collected: Collected) -> dict[str, str]:
    return {one.name: one.why for one in collected.left}


@pytest.mark.parametrize("make", [as_zip, as_folder])
@pytest.mark.parametrize(
    ("tree", "system", "taken", "others"),
    [
        (
            MOODLE,
            "Moodle",
            {
                "Ada Lovelace_7/lab1_linear.ipynb": b"ada",
                "Grace Hopper_8/lab 1.ipynb": b"grace",
                "Wei_9/lab1_linear.ipynb": b"wei",
                "Tom_10/report.pdf": b"%PDF",
            },
            ["Ada Lovelace_7_assignsubmission_onlinetext/onlinetext.html"],
        ),
        (
            CANVAS,
            "Canvas",
            {
                "lovelaceada_101/lab1_linear.ipynb": b"ada",
                "lovelaceada_101/scratch.ipynb": b"scratch",
                "hoppergrace_102/lab1_linear-2.ipynb": b"grace",
                "anon_aB3x/lab1_linear.ipynb": b"anonymous",
                "liwei_103/text.html": b"text",
                "noether_104/link.html": b"link",
            },
            [],
        ),
        (
            {
                "assignment_1_export/submission_metadata.yml": METADATA,
                "assignment_1_export/submission_42/lab1_linear.ipynb": b"both",
                "assignment_1_export/submission_43/sub/lab1_linear.ipynb": b"zoe",
                "assignment_1_export/submission_99/lab1_linear.ipynb": b"nobody",
            },
            "Gradescope",
            {
                "ada@x.edu/lab1_linear.ipynb": b"both",
                "S2/lab1_linear.ipynb": b"both",
                "Zo\u00eb O'Neill/lab1_linear.ipynb": b"zoe",
            },
            ["assignment_1_export/submission_99/lab1_linear.ipynb"],
        ),
        (
            {
                "course/submitted/ada/lab1/lab1_linear.ipynb": b"ada",
                "course/submitted/ada/lab1/timestamp.txt": b"now",
                "course/source/lab1/lab1_linear.ipynb": b"the solution",
            },
            "nbgrader",
            {"ada/lab1_linear.ipynb": b"ada"},
            ["course/source/lab1/lab1_linear.ipynb", "course/submitted/ada/lab1/timestamp.txt"],
        ),
        (
            {
                "ada+lab1+2026-01-31 10:00:00 UTC/lab1_linear.ipynb": b"old",
                "ada+lab1+2026-02-01 10:00:00 UTC+x/lab1_linear.ipynb": b"new",
                "bob+lab1+2026-01-31 10:00:00 UTC/lab1_linear.ipynb": b"bob",
            },
            "nbgrader's exchange",
            {"ada/lab1_linear.ipynb": b"new", "bob/lab1_linear.ipynb": b"bob"},
            ["ada+lab1+2026-01-31 10:00:00 UTC/lab1_linear.ipynb"],
        ),
        (
            {"ada/lab1.ipynb": b"ada", "bob/x/lab1.IPYNB": b"bob", "eve.ipynb": b"eve"},
            "folders",
            {"ada/lab1.ipynb": b"ada", "bob/lab1.IPYNB": b"bob", "eve/eve.ipynb": b"eve"},
            [],
        ),
        (
            {"lab 1/ada/lab1.ipynb": b"ada", "lab 1/bob/lab1.ipynb": b"bob"},
            "folders",
            {"ada/lab1.ipynb": b"ada", "bob/lab1.ipynb": b"bob"},
            [],
        ),
    ],
    ids=["moodle", "canvas", "gradescope", "nbgrader", "exchange", "folders", "wrapped"],
)
def test_a_download_becomes_folders(
    tmp_path: Path,
    make: Callable[[Path, Tree], Path],
    tree: Tree,
    system: str,
    taken: Tree,
    others: list[str],
) -> None:
    collected = collect([make(tmp_path, tree)], tmp_path / "out")
    assert collected.systems == [system]
    assert files(tmp_path / "out") == taken
    assert len(collected.left) == len(others)
    for name in others:
        assert any(one.startswith(name) for one in left(collected))


@pytest.mark.skipif(shutil.which("bash") is None, reason="the loop is bash's")
def test_the_loop_of_the_instructors_page_keeps_every_file(tmp_path: Path) -> None:
    page = Path(__file__).parents[1] / "solutions" / "README.md"
    (loop,) = re.findall(r"^ +for file in .*?^ +done$", page.read_text("utf-8"), re.M | re.S)
    for name, data in CANVAS.items():
        (tmp_path / name).write_bytes(data)
    subprocess.run(["bash", "-c", loop], cwd=tmp_path, check=True)
    made = {Path(name) for name in files(tmp_path / "SUBMISSIONS")}
    assert {path.name for path in made} == {name for name in CANVAS if name.endswith(".ipynb")}
    assert {"lovelaceada_101", "hoppergrace_102"} <= {str(path.parent) for path in made}


def test_everybody_has_a_folder_and_the_late_are_named(tmp_path: Path) -> None:
    collected = collect([as_zip(tmp_path, MOODLE)], tmp_path / "moodle")
    assert collected.students["Tom_10"] == []
    assert collected.instead == {"Tom_10": ["report.pdf"]}
    assert collect([as_folder(tmp_path, CANVAS)], tmp_path / "out").late == ["hoppergrace_102"]


@pytest.mark.parametrize("make", [as_zip, as_folder])
def test_an_empty_folder_is_somebodys(tmp_path: Path, make: Callable[[Path, Tree], Path]) -> None:
    source = make(tmp_path, {"ada/lab1.ipynb": b"ada", "bob/x/lab1.ipynb": b"bob"})
    if source.is_dir():
        (source / "eve").mkdir()
    else:
        with zipfile.ZipFile(source, "a") as made:
            for name in ("eve/", "bob/", "bob/x/"):
                made.writestr(name, b"")
    collected = collect([source], tmp_path / "out")
    assert collected.students == {"ada": ["lab1.ipynb"], "bob": ["lab1.ipynb"], "eve": []}
    assert left(collected) == {"eve": "an empty folder"}


@pytest.mark.parametrize("make", [as_zip, as_folder])
def test_what_lies_beside_the_folders_is_no_student(
    tmp_path: Path, make: Callable[[Path, Tree], Path]
) -> None:
    source = make(tmp_path, {"ada/lab1.ipynb": b"ada", "index.html": b"", "bob.ipynb": b"bob"})
    collected = collect([source], tmp_path / "out")
    assert set(collected.students) == {"ada", "bob"}
    assert left(collected) == {"index.html": "whose it is cannot be told"}


def test_files_of_one_name_are_all_kept(tmp_path: Path) -> None:
    tree = {f"ada/{n}/lab1.ipynb": data for n, data in enumerate((b"1", b"2", b"1"))}
    collected = collect([as_folder(tmp_path, tree | {"bob/x.ipynb": b""})], tmp_path / "out")
    assert collected.students["ada"] == ["lab1.ipynb", "lab1_2.ipynb"]
    assert files(tmp_path / "out" / "ada") == {"lab1.ipynb": b"1", "lab1_2.ipynb": b"2"}


def test_of_who_has_no_notebook_a_few_files_are_taken(tmp_path: Path) -> None:
    tree = {f"ada/{n}.png": str(n).encode() for n in range(5)} | {
        **{"ada/a/.png": b"hidden", "bob/lab1.ipynb": b"bob", "bob/notes.txt": b"notes"},
        **{"eve/1/x.pdf": b"1", "eve/2/x.pdf": b"2", "eve/3/x.pdf": b"1"},
    }
    collected = collect([as_folder(tmp_path, tree)], tmp_path / "out")
    assert set(files(tmp_path / "out")) == {
        *("ada/0.png", "ada/1.png", "ada/2.png", "bob/lab1.ipynb", "eve/x.pdf", "eve/x_2.pdf")
    }
    assert set(left(collected)) == {"ada/3.png", "ada/4.png", "ada/a/.png", "bob/notes.txt"}
    assert collected.instead["eve"] == ["x.pdf", "x_2.pdf"]


def test_a_zip_of_a_student_is_opened(tmp_path: Path) -> None:
    tree = {
        "Ada_7_assignsubmission_file/work.zip": zipped({"labs/lab1.ipynb": b"ada", "x.csv": b""}),
        "Bob_8_assignsubmission_file/empty.zip": zipped({"x.csv": b""}),
        "Eve_9_assignsubmission_file/broken.zip": b"PK\3\4broken",
        "Mia_10_assignsubmission_file/all.zip": zipped(MOODLE),
        "Noa_11_assignsubmission_file/deep.zip": zipped({"a.zip": zipped({"x.ipynb": b""})}),
    }
    collected = collect([as_zip(tmp_path, tree)], tmp_path / "out")
    assert set(files(tmp_path / "out")) == {
        *("Ada_7/lab1.ipynb", "Bob_8/empty.zip", "Eve_9/broken.zip", "Noa_11/deep.zip")
    }
    (why,) = left(collected).values()
    assert "looks like a download of Moodle" in why


def test_collecting_again_changes_nothing_and_overwrites_nothing(tmp_path: Path) -> None:
    source = as_zip(tmp_path, MOODLE)
    collect([source], tmp_path / "out")
    collect([source], tmp_path / "out")
    before = files(tmp_path / "out")
    later = as_folder(tmp_path, {"Ada Lovelace_7_assignsubmission_file/lab1_linear.ipynb": b"x"})
    with pytest.raises(ValueError, match=r"is another file.*new folder"):
        collect([later], tmp_path / "out")
    assert files(tmp_path / "out") == before
    both = collect([source, later], tmp_path / "new")
    assert both.students["Ada Lovelace_7"] == ["lab1_linear.ipynb", "lab1_linear_2.ipynb"]


def entry(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


@pytest.mark.parametrize(
    ("name", "mode", "why"),
    [
        ("../../bob/lab1.ipynb", 0o100644, "leads out"),
        ("ada/../../bob/lab1.ipynb", 0o100644, "leads out"),
        ("/tmp/bob/lab1.ipynb", 0o100644, "leads out"),
        ("C:\\bob\\lab1.ipynb", 0o100644, "leads out"),
        ("..\\bob\\lab1.ipynb", 0o100644, "leads out"),
        ("bob/lab1.ipynb", stat.S_IFLNK | 0o777, "link"),
        ("bob/lab1.ipynb", stat.S_IFIFO | 0o644, "link"),
        (f"bob/{'x' * 300}.ipynb", 0o100644, "too long"),
    ],
)
def test_a_path_or_a_link_leads_nowhere(tmp_path: Path, name: str, mode: int, why: str) -> None:
    source = tmp_path / "in" / "hostile.zip"
    source.parent.mkdir()
    with zipfile.ZipFile(source, "w") as made:
        made.writestr("ada/lab1.ipynb", b"ada")
        made.writestr(entry(name, mode), b"/etc/passwd")
    collected = collect([source], tmp_path / "in" / "deep" / "out")
    assert why in " ".join(left(collected).values())
    assert files(tmp_path / "in" / "deep") == {"out/ada/lab1.ipynb": b"ada"}
    assert not (tmp_path / "bob").exists()


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "lab1.ipynb").write_bytes(b"secret")
    source = as_folder(tmp_path, {"ada/lab1.ipynb": b"ada", "bob/x.ipynb": b"bob"})
    (source / "bob" / "lab1.ipynb").symlink_to(tmp_path / "secret" / "lab1.ipynb")
    (source / "eve").symlink_to(tmp_path / "secret")
    collected = collect([source], tmp_path / "out")
    assert files(tmp_path / "out") == {"ada/lab1.ipynb": b"ada", "bob/x.ipynb": b"bob"}
    assert {"bob/lab1.ipynb", "eve"} <= set(left(collected))


def test_bombs_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "LARGEST", 1 << 20)
    many = {f"{n}.ipynb": str(n).encode() for n in range(MOST_NOTEBOOKS + 1)}
    bomb = bytearray(zipped({"a.ipynb": b"0" * (3 << 20)}))
    # The header tells a smaller size than there is.
    for where in (bomb.find(b"PK\3\4") + 22, bomb.find(b"PK\1\2") + 24):
        bomb[where : where + 4] = (1000).to_bytes(4, "little")
    tree = {
        "Ada_7_assignsubmission_file/large.zip": zipped({"a.ipynb": b"0" * (3 << 20)}),
        "Bob_8_assignsubmission_file/lies.zip": bytes(bomb),
        "Eve_9_assignsubmission_file/many.zip": zipped(many),
        "Mia_10_assignsubmission_file/large.ipynb": b"0" * (3 << 20),
        "Noa_11_assignsubmission_file/lab1.ipynb": b"noa",
    }
    collected = collect([as_zip(tmp_path, tree)], tmp_path / "out")
    assert files(tmp_path / "out") == {"Noa_11/lab1.ipynb": b"noa"}
    assert len(collected.left) == 4


def test_a_student_cannot_hand_in_for_another(tmp_path: Path) -> None:
    forged = zipped({"Bob_8_assignsubmission_file/lab1.ipynb": b"forged"})
    tree = {
        "Ada_7_assignsubmission_file/work.zip": forged,
        "Ada_7_assignsubmission_file/Bob_8_assignsubmission_file_lab1.ipynb": b"forged",
        "Bob_8_assignsubmission_file/lab1.ipynb": b"bob",
    }
    collect([as_zip(tmp_path, tree)], tmp_path / "out")
    assert files(tmp_path / "out" / "Bob_8") == {"lab1.ipynb": b"bob"}


def test_names_from_other_systems(tmp_path: Path) -> None:
    source = tmp_path / "names.zip"
    with zipfile.ZipFile(source, "w") as made:
        # As programs write it that know nothing of UTF-8 in zips.
        made.writestr("Zo__/lab1.ipynb", b"1")
        made.writestr("Zoe\u0308/lab1_2.ipynb", b"2")
        made.writestr("eve\\lab1.ipynb", b"3")
        made.writestr("__MACOSX/eve/._lab1.ipynb", b"")
        made.writestr("eve/.ipynb_checkpoints/lab1-checkpoint.ipynb", b"")
        made.writestr(".hidden/lab1.ipynb", b"4")
    source.write_bytes(source.read_bytes().replace(b"Zo__", "Zo\u00eb".encode()))
    collected = collect([source], tmp_path / "out")
    assert set(collected.students) == {"Zo\u00eb", "eve"}
    assert collected.students["Zo\u00eb"] == ["lab1.ipynb", "lab1_2.ipynb"]
    assert list(left(collected)) == [".hidden/lab1.ipynb"]


@pytest.mark.parametrize(
    ("data", "why"),
    [(b"7z\xbc\xaf\x27\x1c", "a 7z archive"), (b"", "expected a zip"), (b"PK\3\4", "zip")],
)
def test_a_source_that_is_none_is_named(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(ValueError, match=why):
        collect([tmp_path / "x"], tmp_path / "out")
    with pytest.raises(ValueError, match="is not there"):
        collect([tmp_path / "nothing"], tmp_path / "out")
    with pytest.raises(ValueError, match="inside one another"):
        collect([tmp_path], tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="nobody's work"):
        collect([tmp_path / "empty"], tmp_path / "out")


def test_metadata_that_says_nothing_is_refused(tmp_path: Path) -> None:
    tree = {"submission_metadata.yml": b"- nothing", "submission_1/a.ipynb": b""}
    with pytest.raises(ValueError, match="does not say who handed in"):
        collect([as_zip(tmp_path, tree)], tmp_path / "out")


def test_the_command_says_what_it_took_and_what_not(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    source = as_zip(tmp_path, MOODLE)
    assert main(["collect", str(source), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "4 students, 3 notebooks (from: Moodle)" in printed
    assert "without a notebook: Tom_10 (report.pdf)" in printed
    assert "Ada Lovelace_7_assignsubmission_onlinetext/onlinetext.html: no notebook" in printed
    assert main(["collect", str(tmp_path / "none.zip"), "--out", str(tmp_path / "out")]) == 1
    assert "is not there" in capsys.readouterr().err
