"""Exercise 1.14: the errors of a script that measures the SQNR of a network's weights."""

from collections.abc import Mapping

import torch

from labkit.checks.inputs import one
from labkit.checks.reviews import review
from labkit.checks.scripts import Bait, Place, Script, line_with

ERRORS = {
    "no seed": "randperm without generator=g draws other rows at every run, and nobody can "
    "measure the same again.",
    "not all layers": "A slice of weights, as in weights[:1], measures a few and speaks for the "
    "network.",
    "changed in place": "x.clamp_ cuts off the ends of the weights themselves. What is clipped "
    "afterwards is no error any more, since back is compared with the cut ones.",
    "wrong signal": "The S of SQNR is the power of the real weights x. What comes back has other "
    "power: clipping takes some away.",
    "mean of decibels": "Powers add up, decibels do not: a mean of them lets good layers make up "
    "for a bad one. Take one logarithm, at the end.",
    "scales not counted": "A scale of 32 bits is stored for each row, too; with short rows it "
    "costs as much as some of the codes.",
}


def review_sqnr(script: list[str]) -> list[str]:
    """Return the errors of a script that measures an SQNR."""
    loop, draw, decibels = (
        line_with("for ", script),
        line_with("x = w[", script),
        line_with("sqnr = ", script),
    )
    conditions = {
        "no seed": "randperm" in draw and "generator=g" not in draw,
        "not all layers": "[" in loop and "[::-1]" not in loop,
        "changed in place": any("x.clamp_" in line for line in script),
        "wrong signal": "back" in line_with("signal.append", script),
        "mean of decibels": " for " in decibels,
        "scales not counted": "32" not in line_with("stored += ", script),
    }
    return [name for name, there in conditions.items() if there]


def _draw(rng: torch.Generator) -> Mapping[str, object]:
    bits = one(rng, 3, 8)
    return {
        "bits": bits,
        "top": 2 ** (bits - 1) - 1,
        "rows": 2 ** one(rng, 2, 3),
        "share": one(rng, 5, 9) / 10,
        "layer": one(rng, 1, 4),
        "next": one(rng, 5, 8),
        "seed": one(rng, 0, 9),
    }


SCRIPT = Script(
    draw=_draw,
    places=(
        Place(("g = torch.Generator().manual_seed($seed)",)),
        Place(("signal, noise, stored, count = [], [], 0, 0",)),
        Place(
            ("for w in weights:", "for number, w in enumerate(weights):"),
            "not all layers",
            ("for w in weights[:1]:", "for w in weights[-1:]:", "for w in weights[$layer:$next]:"),
            Bait(
                "for w in weights[::-1]:", "not all layers", "[::-1] takes all of them, backwards."
            ),
        ),
        Place(
            ("    x = w[torch.randperm(len(w), generator=g)[:$rows]]",),
            "no seed",
            ("    x = w[torch.randperm(len(w))[:$rows]]",),
            Bait(
                "    x = w[torch.arange($rows)]",
                "no seed",
                "arange draws nothing: these are the first rows, at every run.",
            ),
        ),
        Place(("    limit = $share * x.abs().amax(1, keepdim=True)",)),
        Place(error="changed in place", wrong=("    x.clamp_(-limit, limit)",)),
        Place(("    scale = limit / $top",)),
        Place(
            ("    q = torch.round(x / scale).clamp(-$top, $top)",),
            bait=Bait(
                "    q = torch.round(x / scale).clamp_(-$top, $top)",
                "changed in place",
                "round has made a new tensor, and that is the one which clamp_ changes. Only "
                "x.clamp_ would change x.",
            ),
        ),
        Place(("    back = q * scale",)),
        Place(
            (
                "    signal.append(float(x.square().sum()))",
                "    signal.append(float((x**2).sum()))",
            ),
            "wrong signal",
            (
                "    signal.append(float(back.square().sum()))",
                "    signal.append(float((back**2).sum()))",
            ),
        ),
        Place(
            ("    noise.append(float((back - x).square().sum()))",),
            bait=Bait(
                "    noise.append(float((x - back).square().sum()))",
                "wrong signal",
                "Which of the two is subtracted does not matter: the sign is gone in the square.",
            ),
        ),
        Place(
            ("    stored += $bits * x.numel() + 32 * len(x)",),
            "scales not counted",
            ("    stored += $bits * x.numel()", "    stored += $bits * q.numel()"),
            Bait(
                "    stored += ($bits * x.shape[1] + 32) * len(x)",
                "scales not counted",
                "The 32 bits stand in the bracket: so many for each row.",
            ),
        ),
        Place(("    count += x.numel()",)),
        Place(
            ("sqnr = 10 * math.log10(sum(signal) / sum(noise))",),
            "mean of decibels",
            (
                "sqnr = mean(10 * math.log10(s / n) for s, n in zip(signal, noise))",
                "sqnr = sum(10 * math.log10(s / n) for s, n in zip(signal, noise)) / len(noise)",
            ),
            Bait(
                "sqnr = 10 * math.log10(mean(signal) / mean(noise))",
                "mean of decibels",
                "These are means of powers, and one logarithm.",
            ),
        ),
        Place(('print(f"{sqnr:.1f} dB at {stored / count:.2f} bits per weight")',)),
    ),
)

REVIEW_SQNR = review(
    id="1.14",
    minutes=(15, 22),
    reference=review_sqnr,
    script=SCRIPT,
    errors=ERRORS,
    hints=(
        "Take the errors one by one. Which line would have to be another one? Some lines only look "
        "like errors: say what each of them does before you report it.",
        "Find the line first, then ask it something: does the line with randperm have "
        "generator=g, does the line that appends to signal name back, does the line that adds to "
        "stored know of 32 bits, is there a loop in the line that computes sqnr?",
        "next(line for line in script if 'stored += ' in line) is a line. Not all layers is a "
        "bracket in the line with 'for ', unless it is [::-1]; changed in place is x.clamp_ in any "
        "line; and without randperm nothing is drawn.",
    ),
)
