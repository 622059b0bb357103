"""The card about the whole course: points of every lab, and what comes next."""

import json

import pytest

import labkit
from labkit.checks import overview, registry


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A function that writes what was reached in a lab."""
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path))

    def write(number, best):
        (tmp_path / f"lab{number}.json").write_text(json.dumps({"best": best}))

    return write


def everything(number):
    return {exercise.id: exercise.points for exercise in registry.exercises(number)}


def test_at_the_start_the_first_exercise_comes_next(kept):
    text = repr(overview.overview_card())
    most = sum(sum(everything(number).values()) for number in registry.STEMS)
    assert text.startswith(f"The course · 0 of {most} points")
    assert "Go on with lab 0, exercise 0.1: How many values." in text


def test_every_lab_has_its_points_and_its_next_exercise(kept):
    kept(0, everything(0))
    kept(1, {"1.1": 1, "1.2": 1.0, "1.4": 1})
    rows = overview.overview_card().blocks[0].rows
    assert len(rows) == len(registry.STEMS)
    assert rows[0] == ("0 Number formats", "█" * 10, "18 of 18", "✓ all passed")
    title, bar, *rest = rows[1]
    assert (title, bar) == ("1 Linear quantization", "█░░░░░░░░░")
    most = sum(everything(1).values())
    assert rest == [f"3 of {most}", "1.2 Scale and zero point"]
    assert "Go on with lab 1, exercise 1.2" in repr(overview.overview_card())


def test_a_bar_is_full_and_empty_only_at_the_ends():
    assert [overview.bar(share).count("█") for share in (0, 0.01, 0.5, 0.99, 1)] == [0, 1, 5, 9, 10]


def test_at_the_end_it_says_so(kept):
    for number in registry.STEMS:
        kept(number, everything(number))
    card = overview.overview_card()
    assert card.tone == "good"
    assert "You have passed every exercise there is." in repr(card)


def test_progress_that_cannot_be_read_is_said(kept, tmp_path):
    (tmp_path / "lab2.json").write_text("{")
    assert "Lab 2: The progress file was not readable" in repr(overview.overview_card())


def test_the_package_shows_it(kept, monkeypatch):
    shown = []
    monkeypatch.setattr(overview, "show", shown.append)
    labkit.progress()
    assert repr(shown[0]) == repr(overview.overview_card())
