"""Exercise 2.14: the errors of a script that compares two ways of calibrating."""

from collections.abc import Mapping

import torch

from labkit.checks.inputs import one
from labkit.checks.reviews import review
from labkit.checks.scripts import Bait, Place, Script, few_and_many, line_with

ERRORS = {
    "test images seen": "With pool = test_pixels the thresholds are chosen on the images that they "
    "are measured with. The result says nothing about new ones.",
    "not normalized": "Pixels from 0 to 255 give other outputs than the network has in use: the "
    "thresholds fit those, and the loser is decided by that.",
    "other images for each method": "Where chosen is drawn inside of the loop over the methods, "
    "each gets images of its own, and part of the difference is theirs.",
    "too few draws": "Which images were drawn decides a lot. Fewer than 5 draws do not show it: "
    "read the number in range(...).",
    "tuned on the test images": 'best_percent("test") picks the percentage that happens to suit '
    "the test images, and only one of the methods gets this help.",
    "tie called a win": "A difference is a win where it is larger than chance: the line with "
    "verdict must ask error, too.",
}
FEWEST = 5


def review_comparison(script: list[str]) -> list[str]:
    """Return the errors of a script that compares two ways of calibrating."""
    draws = int(line_with("for draw in", script).split("range(")[1].split(")")[0])
    _, entry, *_ = (line for line in script if line.startswith("pool = "))
    conditions = {
        "test images seen": "pool = test_pixels" in script,
        "not normalized": "normalize" not in entry and "MEAN" not in entry,
        "other images for each method": line_with("chosen = ", script).startswith(8 * " "),
        "too few draws": draws < FEWEST,
        "tuned on the test images": '"test"' in line_with("percent = ", script),
        "tie called a win": "error" not in line_with("verdict = ", script),
    }
    return [name for name, there in conditions.items() if there]


def _draw(rng: torch.Generator) -> Mapping[str, object]:
    return {
        "seed": one(rng, 0, 9),
        "images": 2 ** one(rng, 4, 7),
        **few_and_many(rng, FEWEST, 40),
        "percent": ("99", "99.9", "99.99")[one(rng, 0, 2)],
        "bits": one(rng, 4, 8),
    }


SCRIPT = Script(
    draw=_draw,
    places=(
        Place(
            ("pool = pixels",),
            "test images seen",
            ("pool = test_pixels",),
            Bait(
                "pool = pixels[-len(test_pixels):]",
                "test images seen",
                "These are as many as there are test images, but of the others.",
            ),
        ),
        Place(
            ("pool = normalize(pool)",),
            "not normalized",
            ("pool = pool.float()", "pool = pool.clone()"),
            Bait(
                "pool = (pool / 255 - MEAN) / STD",
                "not normalized",
                "This is what normalize does, written out.",
            ),
        ),
        Place(("test = layer(normalize(test_pixels[:128]))",)),
        Place(
            ("percent = $percent",),
            "tuned on the test images",
            ('percent = best_percent("test")',),
            Bait(
                'percent = best_percent("calibration")',
                "tuned on the test images",
                "It was chosen on calibration images, before anybody looked at the test.",
            ),
        ),
        Place(("gains, g = [], torch.Generator().manual_seed($seed)",)),
        Place(
            ("for draw in range($many):",),
            "too few draws",
            ("for draw in range($few):",),
        ),
        Place(
            ("    chosen = torch.randperm(len(pool), generator=g)[:$images]",),
            "other images for each method",
        ),
        Place(("    sqnr = {}",)),
        Place(('    for method in ("min-max", "percentile"):',)),
        Place(
            error="other images for each method",
            wrong=("        chosen = torch.randperm(len(pool), generator=g)[:$images]",),
        ),
        Place(
            ("        threshold = calibrate(method, layer(pool[chosen]), percent)",),
            bait=Bait(
                "        seen = layer(pool[chosen])\n"
                "        threshold = calibrate(method, seen, percent)",
                "other images for each method",
                "What is drawn once, above, is only looked up here: both methods see the same.",
            ),
        ),
        Place(("        sqnr[method] = measure(test, threshold, $bits)",)),
        Place(('    gains.append(sqnr["percentile"] - sqnr["min-max"])',)),
        Place(
            ("gain, error = mean(gains), stdev(gains) / len(gains) ** 0.5",),
        ),
        Place(
            ('verdict = "a win" if gain > 2 * error else "no win"',),
            "tie called a win",
            (
                'verdict = "a win" if gain > 0 else "no win"',
                'verdict = "a win" if max(gains) > 0 else "no win"',
            ),
            Bait(
                'verdict = "no win" if gain / error < 2 else "a win"',
                "tie called a win",
                "The same question, turned round: at least two standard errors.",
            ),
        ),
        Place(('print(f"{gain:+.2f} ± {error:.2f} dB: {verdict}")',)),
    ),
)

REVIEW_COMPARISON = review(
    id="2.14",
    minutes=(15, 22),
    reference=review_comparison,
    script=SCRIPT,
    errors=ERRORS,
    hints=(
        "Take the errors one by one. Which line would have to be another one, or stand in another "
        "place? Some lines only look like errors: say what each of them does before you report it.",
        "How deep a line is indented says inside of which loop it stands: line.startswith(' ' * 8) "
        "is true inside of both. For the other five errors a word in one line is enough.",
        "next(line for line in script if 'chosen = ' in line) is a line. The number of draws is "
        "int(line.split('range(')[1].split(')')[0]). The second line that begins with 'pool = ' "
        "normalizes if it has normalize or MEAN in it.",
    ),
)
