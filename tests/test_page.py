"""The page of results: all labs, self-contained, escaped, in no other file's place."""

from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from labkit import Lab, plots
from labkit.checks import lab, registry

POINTS = sum(exercise.points for exercise in registry.exercises(1))


@pytest.fixture(autouse=True)
def _own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path / "progress"))
    monkeypatch.setattr(lab, "show", lambda card: None)
    yield
    plt.close("all")


class Page(HTMLParser):
    """The tags, attributes and words of a page, and that every tag is closed."""

    VOID = ("meta", "img")

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def right(bits, signed, narrow):
    qmin = -(2 ** (bits - 1)) if signed else 0
    return qmin + narrow, (2 ** (bits - 1) if signed else 2**bits) - 1


def picture():
    ax = plots.new_axes()
    ax.plot([1, 2])
    return ax


def test_it_holds_every_lab_and_what_was_passed(tmp_path):
    checked = Lab(1)
    checked.check("1.1", right)
    checked.page(tmp_path / "mine.html")
    page = Page(tmp_path / "mine.html")
    assert page.open == []
    for number in registry.STEMS:
        assert any(word.startswith(f"Lab {number}: ") for word in page.words)
        for exercise in registry.exercises(number):
            assert f"{exercise.id} {exercise.title}" in page.words
    assert f"Lab 1: Linear quantization · 1 of {POINTS} points" in page.words
    start = page.words.index("1.1 The integers of b bits")
    assert page.words[start : start + 6] == [
        "1.1 The integers of b bits", "✓ Passed", "1 of 1",
        "1.2 Scale and zero point", "○ Open", "0 of 2",
    ]  # fmt: skip
    assert page.words.count("✓ Passed") == 1


def test_a_kept_picture_stands_in_the_page_of_every_later_lab(tmp_path):
    caption = 'mine: "<script>alert(1)</script>"'
    Lab(1).keep(picture(), "an earlier one")
    Lab(1).keep(picture(), caption)
    Lab(3).page(tmp_path / "mine.html")
    page = Page(tmp_path / "mine.html")
    (image,) = [attributes for tag, attributes in page.tags if tag == "img"]
    assert image["alt"] == caption
    assert image["src"].startswith("data:image/png;base64,iVBOR")
    assert not any(tag in ("script", "link", "iframe") for tag, _ in page.tags)
    assert not any("href" in a or a.get("src", "data:")[:5] != "data:" for _, a in page.tags)


def test_a_figure_is_as_good_as_its_axes(tmp_path):
    Lab(1).keep(picture().figure, "a line")
    Lab(1).page(tmp_path / "mine.html")
    assert "a line" in Page(tmp_path / "mine.html").words


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"caption": "a"}',
        '{"caption": 1, "png": "aa"}',
        '{"caption": "a", "png": "\'><b>"}',
    ],
)
def test_a_broken_picture_is_said_and_does_no_harm(content, tmp_path):
    Lab(1).keep(picture(), "a line")
    (tmp_path / "progress" / "lab1.picture.json").write_text(content)
    Lab(1).page(tmp_path / "mine.html")
    page = Page(tmp_path / "mine.html")
    assert any("could not be read" in word for word in page.words)
    assert not any(tag in ("img", "b") for tag, _ in page.tags)


def test_a_page_may_be_written_again_and_no_other_file_is_overwritten(tmp_path):
    path = tmp_path / "mine.html"
    Lab(1).page(path)
    Lab(1).check("1.1", right)
    Lab(1).page(path)
    assert f"Lab 1: Linear quantization · 1 of {POINTS} points" in Page(path).words
    path.write_text("<p>my diary</p>")
    with pytest.raises(ValueError, match="is no page of results"):
        Lab(1).page(path)
    assert path.read_text() == "<p>my diary</p>"
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["mine.html"]


def test_a_page_needs_the_name_of_a_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r'ends in "\.html"'):
        Lab(1).page("notebook.ipynb")
    assert not any(path.is_file() for path in tmp_path.iterdir())


def test_what_cannot_be_kept_is_named(tmp_path):
    with pytest.raises(TypeError, match="picture is a str; expected Axes or Figure"):
        Lab(1).keep("picture.png", "x")
    with pytest.raises(ValueError, match="needs a caption"):
        Lab(1).keep(picture(), " ")


def test_a_broken_progress_file_is_said_on_the_page(tmp_path):
    (tmp_path / "progress").mkdir()
    (tmp_path / "progress" / "lab2.json").write_text("{")
    Lab(1).page(tmp_path / "a.html")
    assert any("kept as lab2.broken.json" in word for word in Page(tmp_path / "a.html").words)
