"""The front page: what one will be able to do, in real cards and pictures, and the way there."""

from collections.abc import Mapping
from html import escape

from nbformat import NotebookNode

from labkit import language
from labkit.checks import registry
from labkit.checks.calling import call_all
from labkit.checks.card import Card
from labkit.checks.messages import verdict_card
from labkit.checks.verdict import judge
from labkit.grading.releasing.course_map import effort, needs
from labkit.site.notebooks import DOOR, PICTURES

SEED = 0
# What the front page shows, and the exercise that one does for it: a slip that has a name, a
# picture by words that describe it, rows of a stored table, and what a cell printed by its start.
SLIP = ("1.3", "converts to integers before it clamps")
FRAGILE = ("1.8", "fragile network, weights only")
SEARCHED = "in groups of 64, GPTQ, ranges searched for"
MODEL = (
    "7.10",
    {
        "float": "32, float",
        "W8, a scale a row": "8",
        f"W4 {SEARCHED}": "4",
        f"W3 {SEARCHED}": "3",
        "W3 in groups of 64, rounded": "3, simply rounded",
    },
)
PROGRAM = ("8.9", "int network_run")
TEXT = 42  # characters of what the model writes

WELCOME = """\
---
hide-toc: true
---

# Quantization labs

<div class="front"><div>
<p class="lead">Take a trained network from 32-bit floats to integers, with your own code. Every
function that matters you write yourself; a check answers within a second. {labs}, one
sitting each, on a laptop, offline.</p>

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
    first = min(labs)
    parts = [
        WELCOME.format(number=first, stem=registry.STEMS[first], labs=_count(labs)).rstrip(),
        f"{_slip(labs)}</div><div>{_fragile(labs)}{_model(labs)}{_program(labs)}</div></div>",
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


def _count(labs: Mapping[int, NotebookNode]) -> str:
    return f"{len(labs)} labs" if len(labs) > 1 else "One lab"


def _lab_of(exercise_id: str, labs: Mapping[int, NotebookNode]) -> NotebookNode | None:
    """Return the page of the lab that an exercise is in; None where the class takes it not."""
    number = int(exercise_id.partition(".")[0])
    if number not in labs or exercise_id not in {e.id for e in registry.exercises(number)}:
        return None
    return labs[number]


def _shown(title: str, words: str, html: str) -> str:
    caption = f"<strong>{escape(title)}</strong> {escape(words)}"
    return f"<figure><figcaption>{caption}</figcaption>{html}</figure>"


def _slip(labs: Mapping[int, NotebookNode]) -> str:
    if _lab_of(SLIP[0], labs) is None:
        return ""
    words = "This answer converts to int8 before it clamps, and the card says so."
    return _shown("A check that knows your slip.", words, slip_card(*SLIP)._repr_html_())


def _fragile(labs: Mapping[int, NotebookNode]) -> str:
    exercise, described = FRAGILE
    if (lab := _lab_of(exercise, labs)) is None:
        return ""
    words = "With one scale a tensor all is lost at 4 bits; one scale a channel repairs it. Lab 1."
    return _shown("A network that falls apart.", words, _image(*_picture(lab, described)))


def _model(labs: Mapping[int, NotebookNode]) -> str:
    exercise, names = MODEL
    if _lab_of(exercise, labs) is None:
        return ""
    results = {result.method: result for result in language.stored_results()}
    shown = {name: results[method] for method, name in names.items()}
    most = max(result.perplexity for result in shown.values())
    rows = "".join(_row(name, result, most) for name, result in shown.items())
    heads = ("bits a weight", "MB", "perplexity", "The capital of France is …")
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    table = f'<table class="few-bits"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    words = "SmolLM2, with 4 and 3 bits by the GPTQ that you write. Lab 7."
    return _shown("A language model in 8, 4 and 3 bits.", words, table)


def _row(name: str, result: language.Result, most: float) -> str:
    text = escape(" ".join(result.text.split())[:TEXT])
    part = f"--part: {100 * result.perplexity / most:.0f}%"
    return (
        f'<tr><th scope="row">{escape(name)}</th><td>{result.weights / 1e6:.0f}</td>'
        f'<td style="{part}">{result.perplexity:.1f}</td><td>{text} …</td></tr>'
    )


def _program(labs: Mapping[int, NotebookNode]) -> str:
    """Return the figure of what a cell printed."""
    exercise, begin = PROGRAM
    if (lab := _lab_of(exercise, labs)) is None:
        return ""
    printed = [o.get("text", "") for cell in lab.cells for o in cell.get("outputs", [])]
    found = [text for text in printed if text.startswith(begin)]
    if not found:
        raise ValueError(
            f"the lab of {exercise} prints nothing that begins with {begin!r}; run it where its "
            'extras are installed: pip install "labkit[device]".'
        )
    code = f'<pre tabindex="0">{escape(found[0].rstrip())}</pre>'
    return _shown(
        "Your network as a C program.", "Integers only, for a microcontroller. Lab 8.", code
    )


def slip_card(exercise_id: str, slip: str) -> Card:
    """Return the card that an answer with a known slip gets."""
    exercise = next(e for e in registry.exercises(int(exercise_id[0])) if e.id == exercise_id)
    wrong = next(m.wrong for m in exercise.misconceptions if m.name == slip)
    cases = exercise.draw(SEED)
    return verdict_card(judge(exercise, cases, call_all(wrong, cases)))


def _picture(lab: NotebookNode, words: str) -> tuple[str, str]:
    """Return file name and description of the picture that is described with these words.

    Raises
    ------
    ValueError
        If there is none.
    """
    outputs = [o.get("metadata", {}) for cell in lab.cells for o in cell.get("outputs", [])]
    for output in outputs:
        if words in output.get("words", ""):
            return output["picture"], output["words"]
    raise ValueError(f"no picture of the lab is described with {words!r}; run its notebook again.")


def _image(name: str, words: str) -> str:
    return f'<img src="{PICTURES}/{name}" alt="{escape(words)}">'


def _entry(number: int, lab: NotebookNode) -> str:
    exercises = registry.exercises(number)
    name, _ = _picture(lab, registry.picture(number))
    points = sum(exercise.points for exercise in exercises)
    read = NotebookNode(cells=[cell for cell in lab.cells if cell.id != DOOR])  # in the lab itself
    core, everything = effort(number, read, core=True)[1], effort(number, read)[1]
    return (
        f'<a class="lab" href="{registry.STEMS[number]}.html">'
        f'<img src="{PICTURES}/{name}" alt="" loading="lazy">'
        f"<strong>{number} {escape(registry.title(number))}</strong>"
        f"<span>{escape(registry.sentence(number))}</span>"
        f"<span>{len(exercises)} exercises, {points} points; about {core} minutes for the core "
        f"path, {everything} for all</span>"
        f"<span>You need {escape(needs(lab))}.</span></a>"
    )
