"""The cards of an exercise without a notebook: those that a notebook shows."""

from pathlib import Path

import pytest

from labkit.checks import registry
from labkit.cli import main
from labkit.teaching.preview import preview, preview_page

RIGHT = (
    "def quantize(x: Tensor, scale, zero_point, qmin, qmax):\n"
    "    return (torch.round(x / scale) + zero_point).clamp(qmin, qmax).to(torch.int32)\n"
)


def answer(folder: Path, source: str) -> Path:
    path = folder / "answer.py"
    path.write_text(source, "utf-8")
    return path


def test_every_known_mistake_has_a_card_that_names_it() -> None:
    exercise = next(e for e in registry.exercises(1) if e.id == "1.3")
    cards = preview("1.3")
    assert len(cards) == len(exercise.misconceptions) + 2
    assert cards[0][1].headline.startswith("✓ Passed")
    for (what, card), mistake in zip(cards[1:-1], exercise.misconceptions, strict=True):
        assert what == f"code that {mistake.name}"
        assert f"Your code {mistake.name}" in repr(card)
    assert all(hint in repr(cards[-1][1]) for hint in exercise.hints)


def test_an_answer_stands_where_its_cell_does(tmp_path: Path) -> None:
    ((what, card),) = preview("1.3", answer(tmp_path, RIGHT))
    assert what == "answer.py"
    assert card.headline.startswith("✓ Passed")
    ((_, card),) = preview("1.3", answer(tmp_path, RIGHT.replace("torch.round", "torch.floor")))
    assert "rounds down" in repr(card)


@pytest.mark.parametrize(
    ("number", "source", "reason"),
    [
        ("1.99", None, "lab 1 has no exercise 1.99"),
        ("99.1", None, "there is no exercise '99.1'"),
        ("one", None, "there is no exercise 'one'"),
        ("1.3", "def quantise(): pass", "makes no function quantize.*there are quantise"),
        ("1.3", "quantize = 3", "there are none"),
        ("1.3", "import nothing_here", "does not run: ModuleNotFoundError"),
        ("1.3", "def quantize(:", "does not run: SyntaxError"),
    ],
)
def test_what_cannot_be_shown_is_named(tmp_path, number: str, source: str | None, reason) -> None:
    with pytest.raises(ValueError, match=reason):
        preview(number, answer(tmp_path, source) if source else None)


def test_the_command_prints_or_writes_a_page(tmp_path: Path, capsys) -> None:
    path = answer(tmp_path, RIGHT)
    assert main(["preview", "1.3", str(path)]) == 0
    assert "For answer.py:\n\n✓ Passed · Exercise 1.3" in capsys.readouterr().out
    page = tmp_path / "cards.html"
    assert main(["preview", "1.3", "--html", str(page)]) == 0
    assert page.read_text("utf-8") == preview_page("1.3", preview("1.3"))
    assert "<h2>For code that does not clamp</h2>" in page.read_text("utf-8")
