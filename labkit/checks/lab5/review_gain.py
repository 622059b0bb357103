"""Exercise 5.14: the errors of a script that compares training with rounding to rounding after."""

from collections.abc import Mapping

import torch

from labkit.checks.inputs import one
from labkit.checks.reviews import review
from labkit.checks.scripts import Bait, Place, Script, few_and_many, line_with

ERRORS = {
    "tuned for one only": "best_rate searches a learning rate for one of the two; the other has to "
    "do with a number that somebody wrote down.",
    "best epoch on the test images": "With watched = test the training keeps the epoch that suits "
    "the test images best: the luckiest of many, and no result for new images.",
    "too few seeds": "Another seed gives another result, often by more than the gain. Fewer than 5 "
    "do not show it: read the number in range(...).",
    "other number of epochs": "What is gained by training longer is no gain of QAT: compare the "
    "numbers of epochs of real and qat.",
    "rounding off": "rounding(qat, on=False) measures the real weights behind the rounded ones, "
    "which no device will hold.",
    "statistics of the batch": "A network in training mode takes mean and variance from the images "
    "at hand. On the device it has the stored ones: eval().",
}
FEWEST = 5


def review_gain(script: list[str]) -> list[str]:
    """Return the errors of a script that compares QAT with PTQ."""

    def number_after(words: str, line: str) -> int:
        return int(line.split(words)[1].split(",")[0].split(")")[0])

    real, qat = line_with("real = train(", script), line_with("qat = train(", script)
    conditions = {
        "tuned for one only": line_with("rates = ", script).count("best_rate") == 1,
        "best epoch on the test images": "watched = test" in script,
        "too few seeds": number_after("range(", line_with("for seed", script)) < FEWEST,
        "other number of epochs": number_after("epochs=", real) != number_after("epochs=", qat),
        "rounding off": any("rounding(qat, on=False)" in line for line in script),
        "statistics of the batch": any("train()" in line for line in script),
    }
    return [name for name, there in conditions.items() if there]


def _draw(rng: torch.Generator) -> Mapping[str, object]:
    epochs = 10 * one(rng, 2, 9)
    return {
        "rate": ("0.003", "0.005", "0.01", "0.02")[one(rng, 0, 3)],
        **few_and_many(rng, FEWEST, 20),
        "epochs": epochs,
        "more": epochs + 10 * one(rng, 1, 9),
        "fewer": epochs - 10,
    }


SCRIPT = Script(
    draw=_draw,
    places=(
        Place(
            ('rates = {"real": $rate, "qat": $rate}',),
            "tuned for one only",
            (
                'rates = {"real": $rate, "qat": best_rate("qat")}',
                'rates = {"real": best_rate("real"), "qat": $rate}',
            ),
            Bait(
                'rates = {"real": best_rate("real"), "qat": best_rate("qat")}',
                "tuned for one only",
                "Each of the two gets its own search.",
            ),
        ),
        Place(
            ("watched = None",),
            "best epoch on the test images",
            ("watched = test",),
            Bait(
                "watched = held_out",
                "best epoch on the test images",
                "held_out are images that are neither trained on nor tested on: that is what they "
                "are for.",
            ),
        ),
        Place(("gains = []",)),
        Place(
            ("for seed in range($many):",),
            "too few seeds",
            ("for seed in range($few):",),
        ),
        Place(
            (
                "    real = train(network(seed), epochs=$epochs, "
                'rate=rates["real"], best_on=watched)',
            )
        ),
        Place(("    ptq = rounded(real)",)),
        Place(
            (
                "    qat = train(rounded(network(seed)), epochs=$epochs, "
                'rate=rates["qat"], best_on=watched)',
            ),
            "other number of epochs",
            (
                "    qat = train(rounded(network(seed)), epochs=$more, "
                'rate=rates["qat"], best_on=watched)',
                "    qat = train(rounded(network(seed)), epochs=$fewer, "
                'rate=rates["qat"], best_on=watched)',
            ),
        ),
        Place(
            ("", "    rounding(qat, on=True)"),
            "rounding off",
            ("    rounding(qat, on=False)",),
            Bait(
                "    rounding(real, on=False)",
                "rounding off",
                "real is the float network, which has nothing to switch off.",
            ),
        ),
        Place(
            ("    ptq.eval(), qat.eval()",),
            "statistics of the batch",
            ("    ptq.eval(), qat.train()", "    ptq.train(), qat.train()"),
            Bait(
                "    ptq.train(False), qat.train(False)",
                "statistics of the batch",
                "train(False) is another name for eval().",
            ),
        ),
        Place(
            (
                "    gains.append(accuracy(qat, test) - accuracy(ptq, test))",
                "    gains.append(-accuracy(ptq, test) + accuracy(qat, test))",
            ),
        ),
        Place(
            ("gain, error = 100 * mean(gains), 100 * stdev(gains) / len(gains) ** 0.5",),
        ),
        Place(('print(f"QAT gains {gain:.1f} ± {error:.1f} points over PTQ")',)),
    ),
)

REVIEW_GAIN = review(
    id="5.14",
    minutes=(15, 22),
    reference=review_gain,
    script=SCRIPT,
    errors=ERRORS,
    hints=(
        "Take the errors one by one. Which line would have to be another one? Some lines only look "
        "like errors: say what each of them does before you report it.",
        "Two errors ask for numbers: the seeds in range(...), and the epochs of the two lines with "
        "train(...), which have to be the same. For the other four a word in one line is enough.",
        "next(line for line in script if 'qat = train(' in line) is a line, and "
        "int(line.split('epochs=')[1].split(',')[0]) its number of epochs. best_rate is fair "
        "where it stands twice or not at all: line.count('best_rate'). train(False) is eval().",
    ),
)
