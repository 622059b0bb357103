"""How a change that mends an answer reads: where to look, and what would be right then."""

import ast
from collections.abc import Sequence

from labkit.checks.diagnosis.code.edits import Edit
from labkit.checks.diagnosis.code.remark import Remark
from labkit.checks.diagnosis.code.trials import Trial, Trials
from labkit.checks.values import enumerated, shortened

LONGEST_PLACE = 60
MOST_LABELS = 2
IN_PART = " in part"


def one(edit: Edit) -> Remark:
    """Say which change makes every call right."""
    why = edit.does.partition(": ")[2]
    text = f"{_where(edit)} {_instead(edit)} every call would be right: {why or 'do you see why?'}"
    text += "." * bool(why)
    return Remark(f"repair: {edit.before} -> {edit.after}", text)


def place(edit: Edit) -> Remark:
    """Say where one change makes every call right, and not which: it is found by chance."""
    text = f"{_where(edit)} With another value there every call would be right."
    return Remark(f"place: {edit.before}", text, cause=False)


def several(edits: Sequence[Edit]) -> Remark:
    """Say which changes make every call right together."""
    ordered = sorted(edits, key=lambda edit: edit.line)
    texts = [edit.before for edit in ordered]
    places = []
    for k, edit in enumerate(ordered):
        # One place in the words of another would show the change that it leaves out.
        others = texts[:k] + texts[k + 1 :]
        before, after = edit.texts(any(text in edit.before for text in others))
        shown = _codes(edit, 0) if len(edit.spots) > 1 else _code(before)
        places.append(f"{shown} in line {edit.line} of the cell ({_try(edit, after)})")
    count = {2: "Two", 3: "Three", 4: "Four"}.get(len(places), "Several")
    together = "both changes" if len(places) == 2 else "all of them changed"
    text = (
        f"{count} places: {', '.join(places[:-1])}, and {places[-1]}. With {together} every call "
        "would be right."
    )
    key = " and ".join(f"{edit.before} -> {edit.after}" for edit in ordered)
    return Remark(f"repair: {key}", text)


def in_part(edit: Edit, trial: Trial, trials: Trials) -> Remark:
    """Say which change makes a part of the calls right, or one of several results in all."""
    evidence, key = trials.evidence, f"repair: {edit.before} -> {edit.after}{IN_PART}"
    if trial.parts:
        names = " and ".join(f"`{evidence.exercise.names[c]}`" for c in trial.parts)
        return Remark(
            key,
            f"{_where(edit)} {_instead(edit)} {names} would be right in every call. What is wrong "
            "besides has another cause.",
        )
    left = [i for i in trials.wrong if i not in trial.mended]
    labels = list(dict.fromkeys(evidence.cases[i].label for i in left))
    but = f"all but {'; '.join(labels)}" if len(labels) <= MOST_LABELS else "most"
    text = (
        f"{_where(edit)} {_instead(edit)} {len(trial.mended)} of the {len(trials.wrong)} calls "
        f"that go wrong would be right ({but})."
    )
    return Remark(key, text)


def _code(source: str) -> str:
    first, *rest = source.split("\n")
    return f"`{shortened(first, LONGEST_PLACE)}{' ...' if rest else ''}`"


def _where(edit: Edit) -> str:
    lines = sorted({place[3].lineno for place, _ in edit.spots})
    listed = enumerated([str(line) for line in lines])
    if len(lines) == 1 or edit.moves:
        return f"Look at {_codes(edit, 0)}, in line {edit.line} of the cell."
    return f"Look at {_codes(edit, 0)}, in lines {listed} of the cell."


def _codes(edit: Edit, which: int) -> str:
    """Write what stands in the places of a change before it, or after."""
    if len(edit.spots) == 1 or edit.moves:
        return _code((edit.before, edit.after)[which])
    nodes = [(place[3], new)[which] for place, new in edit.spots]
    return enumerated([_code(text) for text in dict.fromkeys(map(ast.unparse, nodes))])


def _instead(edit: Edit) -> str:
    if edit.moves:
        return "If it came after the line below it,"
    if edit.before.startswith("if ") and edit.after.startswith("if False"):
        return "Without this special case"
    if edit.before.startswith("if ") and edit.after.startswith("if True"):
        return "With what follows it done in every case"
    if edit.after == "pass":
        return "Without it"
    if len(edit.after) <= LONGEST_PLACE and "\n" not in edit.after:
        return f"With {_codes(edit, 1)} there"
    does = edit.does.partition(": ")[0]
    return f"With code there that {does.removesuffix(' there')},"


def _try(edit: Edit, after: str) -> str:
    if edit.moves or edit.after == "pass" or edit.before.startswith("if "):
        return f"{_instead(edit)[0].lower()}{_instead(edit)[1:].rstrip(',')}"
    if len(edit.spots) > 1:
        return f"try {_codes(edit, 1)}"
    return f"try {_code(after)}"
