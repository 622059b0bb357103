"""The front page: what one will be able to do, in real cards and pictures, and the way there."""

from collections.abc import Mapping
from html import escape

from nbformat import NotebookNode

from labkit.checks import registry
from labkit.checks.calling import call_all
from labkit.checks.card import Card
from labkit.checks.messages import verdict_card
from labkit.checks.verdict import judge
from labkit.grading.releasing.course_map import effort, needs
from labkit.site.notebooks import PICTURES

SEED = 0
# The front page's own: a slip that has a name, and what comes of the right answers.
SLIP = ("1.3", "converts to integers before it clamps")
SHOWN = (
    (
        (1, "check-1-11", 1),
        "A network that falls apart when its weights share one scale per tensor, and does not mind "
        "one scale per channel. You find out why, and repair it. From lab 1.",
    ),
    (
        (5, "check-5-9", 0),
        "Two networks in fewer and fewer bits, quantized after training and trained for it. From "
        "lab 5.",
    ),
    (
        (7, "check-7-13", 0),
        "A language model with 4, 3 and 2 bits a weight, by the methods that you write. From "
        "lab 7.",
    ),
    (
        (8, "check-8-11", 1),
        "The memory of your own network on a microcontroller, byte by byte: the C program above "
        "runs in it. From lab 8.",
    ),
)
# What a cell printed, by how it begins.
PROGRAM = (8, "int network_run", "Your own network as a C program, of integers only. From lab 8.")

WELCOME = """\
---
hide-toc: true
---

# Quantization labs

<p class="lead">Take a trained network from 32-bit floats to integers, with your own code: number
formats, scales and zero points, calibration, int8 kernels, a whole network in integers, training
for few bits, a language model, a C program for a chip. Every function that matters you write
yourself. A check answers within a second.</p>

<p class="doors"><a class="door" href="start.html">Start</a>
<a class="door quiet" href="{stem}.html">Look into lab {number}</a></p>
"""


def front_page(labs: Mapping[int, NotebookNode]) -> str:
    """Return the front page in MyST.

    Parameters
    ----------
    labs : mapping of int to NotebookNode
        The labs' pages by number.
    """
    # A course may have left out what is shown here.
    taken = {exercise.id for number in labs for exercise in registry.exercises(number)}
    shown = [
        _figure(_picture(labs[number], place, skip), caption)
        for (number, place, skip), caption in SHOWN
        if _exercise(place) in taken
    ]
    parts = [
        WELCOME.format(number=min(labs), stem=registry.STEMS[min(labs)]),
        '<div class="shown">',
        f"<div>{''.join([*([_slip()] if SLIP[0] in taken else []), *shown[:2]])}</div>",
        f"<div>{''.join([*shown[2:3], *_program(labs), *shown[3:]])}</div>",
        "</div>",
        "",
        "## The labs",
        "",
        '<div class="labs">',
        *(_entry(number, labs[number]) for number in sorted(labs)),
        "</div>",
        "",
        "```{toctree}\n:hidden:\n:caption: Begin\n\nstart\n```",
        "```{toctree}\n:hidden:\n:caption: Labs\n\n"
        + "\n".join(registry.STEMS[number] for number in sorted(labs))
        + "\n```",
        "```{toctree}\n:hidden:\n:caption: More\n\nglossary\nnames\nNOTICE\n```",
    ]
    return "\n".join(parts) + "\n"


def _slip() -> str:
    return (
        f"<figure>{slip_card(*SLIP)._repr_html_()}<figcaption>What a learner sees who converts to "
        "int8 before clamping. The check knows the slip by name.</figcaption></figure>"
    )


def slip_card(exercise_id: str, slip: str) -> Card:
    """Return the card that an answer with a known slip gets."""
    exercise = next(e for e in registry.exercises(int(exercise_id[0])) if e.id == exercise_id)
    wrong = next(m.wrong for m in exercise.misconceptions if m.name == slip)
    cases = exercise.draw(SEED)
    return verdict_card(judge(exercise, cases, call_all(wrong, cases)))


def _picture(lab: NotebookNode, place: str | None, skip: int = 0) -> tuple[str, str]:
    """Return file name and description of a picture: the first behind a cell, or a later one.

    Without a cell it is the first of the lab.
    """
    places = [cell.metadata.get("place") for cell in lab.cells]
    if place is not None and place not in places:
        raise ValueError(
            f"no cell {place!r} to take a picture from; see PICTURE in labkit/checks/lab*/."
        )
    behind = lab.cells[0 if place is None else places.index(place) :]
    outputs = [output.get("metadata", {}) for c in behind for output in c.get("outputs", [])]
    found = [described for described in outputs if "picture" in described]
    return found[skip]["picture"], found[skip]["words"]


def _program(labs: Mapping[int, NotebookNode]) -> list[str]:
    """Return the figure of what a cell printed; none where the lab is not taken."""
    number, begin, caption = PROGRAM
    if number not in labs:
        return []
    printed = [o.get("text", "") for c in labs[number].cells for o in c.get("outputs", [])]
    found = [text for text in printed if text.startswith(begin)]
    if not found:
        raise ValueError(
            f"lab {number} prints nothing that begins with {begin!r}; run it where its extras are "
            'installed: pip install "labkit[device]".'
        )
    code = f'<pre tabindex="0">{escape(found[0].rstrip())}</pre>'
    return [f"<figure>{code}<figcaption>{escape(caption)}</figcaption></figure>"]


def _exercise(place: str) -> str:
    """Return "1.11" for the cell "check-1-11"."""
    return place.partition("-")[2].replace("-", ".")


def _figure(picture: tuple[str, str], caption: str) -> str:
    name, words = picture
    image = f'<img src="{PICTURES}/{name}" alt="{escape(words)}" loading="lazy">'
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def _entry(number: int, lab: NotebookNode) -> str:
    exercises, place = registry.exercises(number), registry.picture(number)
    # Behind an exercise that is left out there is no cell of this name: the lab's first picture.
    is_taken = _exercise(place) in {exercise.id for exercise in exercises}
    name, _ = _picture(lab, place if is_taken else None)
    points = sum(exercise.points for exercise in exercises)
    core, everything = effort(number, lab, core=True)[1], effort(number, lab)[1]
    return (
        f'<a class="lab" href="{registry.STEMS[number]}.html">'
        f'<img src="{PICTURES}/{name}" alt="" loading="lazy">'
        f"<strong>{number} {escape(registry.title(number))}</strong>"
        f"<span>{escape(registry.sentence(number))}</span>"
        f"<span>{len(exercises)} exercises, {points} points; about {core} minutes for the core "
        f"path, {everything} for all</span>"
        f"<span>You need {escape(needs(lab))}.</span></a>"
    )
