"""Something to keep: one HTML file with a student's results of all labs, which needs nothing else.

The file refers to no other, pictures stand in it as data, and all text is escaped. A picture of
one lab is kept beside the progress, so that the page of a later lab, and of another kernel, has it.
"""

import base64
import io
import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.checks import registry
from labkit.checks.card import Table
from labkit.checks.exercise import Exercise
from labkit.checks.messages import TONES, points
from labkit.checks.progress import Progress
from labkit.checks.verdict import State
from labkit.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARK = "<!-- labkit: results -->"
STYLE = (
    ":root{color-scheme:light dark} body{background:Canvas; color:CanvasText; "
    "font:16px/1.5 sans-serif; max-width:46em; margin:2em auto; padding:0 1em} "
    "img{max-width:100%; background:#fff} figure{margin:1em 0}"
)


def keep_picture(number: int, picture: "Axes | Figure", caption: str) -> None:
    """Keep a picture of lab `number` for the page, in place of an earlier one.

    Parameters
    ----------
    number : int
        The lab.
    picture : Axes or Figure
        One of the student's own.
    caption : str
        What it shows, in a sentence: its caption, and its text for who cannot see it.

    Raises
    ------
    ValueError
        If the caption is empty.
    TypeError
        If `picture` is neither Axes nor Figure.
    """
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    if not isinstance(picture, Axes | Figure):
        kind = type(picture).__name__
        raise TypeError(f"picture is a {kind}; expected Axes or Figure, as labkit.plots returns.")
    if not caption.strip():
        raise ValueError("a picture needs a caption: say in a sentence what it shows.")
    image = io.BytesIO()
    picture.figure.canvas.print_figure(image, format="png", dpi=120, facecolor="white")
    png = base64.b64encode(image.getvalue()).decode("ascii")
    write_whole(_kept(number), json.dumps({"caption": caption, "png": png}))


def write_page(path: Path) -> None:
    """Write the page, in place of an earlier one.

    Parameters
    ----------
    path : Path
        Where to, a name that ends in ".html".

    Raises
    ------
    ValueError
        If a file is there that is no such page, or if the name does not end in ".html".
    """
    if path.suffix != ".html":
        raise ValueError(f'the page is HTML; expected a name that ends in ".html", got {path}.')
    if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
        raise ValueError(f"{path} is there and is no page of results; choose another name.")
    write_whole(path, results_page())


def results_page() -> str:
    """Return the page; see `write_page`."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            MARK,
            '<html lang="en"><head><meta charset="utf-8"><title>My quantization labs</title>',
            '<meta name="viewport" content="width=device-width">',
            f"<style>{STYLE}</style></head><body><main><h1>My quantization labs</h1>",
            *map(_section, registry.STEMS),
            "</main></body></html>",
            "",
        ]
    )


def _section(number: int) -> str:
    best = Progress.of_lab(number)
    exercises = registry.exercises(number)
    rows = tuple(_row(exercise, best.best.get(exercise.id, 0.0)) for exercise in exercises)
    total = sum(best.best.get(exercise.id, 0.0) for exercise in exercises)
    most = sum(exercise.points for exercise in exercises)
    title = f"Lab {number}: {registry.title(number)} · {points(total)} of {most} points"
    problem = f"<p>{escape(best.problem)}</p>" if best.problem else ""
    table = Table(("exercise", "state", "points"), rows).html()
    return f"<section><h2>{escape(title)}</h2>{problem}{table}{_figure(number)}</section>"


def _row(exercise: Exercise, best: float) -> tuple[str, str, str]:
    if best >= exercise.points:
        word = TONES[State.PASSED][1]
    else:
        word = TONES[State.ALMOST][1] if best else "○ Open"
    return f"{exercise.id} {exercise.title}", word, f"{points(best)} of {exercise.points}"


def _kept(number: int) -> Path:
    return Progress.of_lab(number).path.with_suffix(".picture.json")


def _figure(number: int) -> str:
    """Return the kept picture of a lab as HTML, or what is wrong with it; "" if there is none."""
    path = _kept(number)
    if not path.is_file():
        return ""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        words, png = escape(kept["caption"]), kept["png"]
        base64.b64decode(png, validate=True)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return f"<p>The picture in {escape(str(path))} could not be read.</p>"
    return (
        f'<figure><img src="data:image/png;base64,{png}" alt="{words}">'
        f"<figcaption>{words}</figcaption></figure>"
    )
