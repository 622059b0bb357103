"""Exercise 4.14: the errors of a script that measures what a quantized network has gained."""

from collections.abc import Mapping

import torch

from labkit.checks.inputs import one
from labkit.checks.reviews import review
from labkit.checks.scripts import Bait, Place, Script, line_with

ERRORS = {
    "training mode": "With train() batch normalization takes its statistics from the images at "
    "hand: other answers, and more to compute. What is deployed is in eval().",
    "other threads": "A second set_num_threads between the two measurements gives them different "
    "numbers of cores.",
    "simulation timed": "A simulated network computes in float32, with rounding on top. Its time "
    "says nothing about integers, for better or worse.",
    "other batch": "x[:8] is a smaller batch: fewer images take less time in any format.",
    "optimizer in the file": "A checkpoint for training holds the optimizer's state, which is "
    "larger than the weights. Nobody deploys it.",
    "too few images": "With fewer than 1,000 images one of them is more than a tenth of a point: "
    "the two decimals are made of nothing. Count the images of slice(...).",
}
FEWEST = 1000


def review_deployment(script: list[str]) -> list[str]:
    """Return the errors of a script that compares a float network with an integer one."""
    first, last = line_with("part = ", script).split("slice(")[1].rstrip(")").split(", ")
    threads = {line for line in script if "set_num_threads" in line}
    conditions = {
        "training mode": "train()" in line_with("real = ", script),
        "other threads": len(threads) > 1,
        "simulation timed": line_with("timed = ", script) == "timed = simulated",
        "other batch": "x[" in line_with("small_ms = ", script),
        "optimizer in the file": "optimizer" in line_with("state = ", script),
        "too few images": int(last) - int(first) < FEWEST,
    }
    return [name for name, there in conditions.items() if there]


def _draw(rng: torch.Generator) -> Mapping[str, object]:
    at_the_edge = one(rng, 0, 1) == 1
    threads, start = one(rng, 1, 2), 100 * one(rng, 4, 5)  # of 2,000 images
    batch = 2 ** one(rng, 4, 7)
    return {
        "network": ("mobilenet", "resnet")[one(rng, 0, 1)],
        "batch": batch,
        "smaller": batch // 2 ** one(rng, 1, 4),
        "threads": threads,
        "others": 2 * threads,
        "start": start,
        "near": start + (FEWEST - 1 if at_the_edge else 100 * one(rng, 6, 9)),
        "far": start + FEWEST + (0 if at_the_edge else 500),
        "few": FEWEST - 1 if at_the_edge else 100 * one(rng, 1, 9),
        "many": FEWEST if at_the_edge else 2 * FEWEST,
    }


SCRIPT = Script(
    draw=_draw,
    places=(
        Place(
            ('real = copy.deepcopy(networks["$network"]).eval()',),
            "training mode",
            ('real = copy.deepcopy(networks["$network"]).train()',),
            Bait(
                'real = copy.deepcopy(networks["$network"]).train(False)',
                "training mode",
                "train(False) is another name for eval().",
            ),
        ),
        Place(("x = few[:$batch]",)),
        Place(("torch.set_num_threads($threads)",)),
        Place(("real_ms = milliseconds(real, x)",)),
        Place(
            error="other threads",
            wrong=("torch.set_num_threads($others)",),
            bait=Bait(
                "torch.set_num_threads($threads)",
                "other threads",
                "The number of threads is the same as before.",
            ),
        ),
        Place(
            ("timed = small",),
            "simulation timed",
            ("timed = simulated",),
            Bait(
                "timed = copy.deepcopy(small)",
                "simulation timed",
                "A copy of the integer network computes in integers, too.",
            ),
        ),
        Place(
            ("small_ms = milliseconds(timed, x)",),
            "other batch",
            ("small_ms = milliseconds(timed, x[:$smaller])",),
            Bait(
                "small_ms = milliseconds(timed, x.clone())",
                "other batch",
                "A clone has the same images, as many as before.",
            ),
        ),
        Place(
            ('state = {"weights": real.state_dict()}',),
            "optimizer in the file",
            ('state = {"weights": real.state_dict(), "optimizer": optimizer.state_dict()}',),
            Bait(
                'state = {"weights": real.state_dict(), "epoch": 12}',
                "optimizer in the file",
                "One number more is a few bytes.",
            ),
        ),
        Place(("ratio = bytes_of(state) / bytes_of(small)",)),
        Place(
            ("part = slice(0, $many)",),
            "too few images",
            ("part = slice(0, $few)", "part = slice($start, $near)"),
            Bait(
                "part = slice($start, $far)",
                "too few images",
                "From start to stop it is a thousand or more, wherever they begin.",
            ),
        ),
        Place(("lost, error = difference(right(real, part), right(small, part))",)),
        Place(('print(f"{real_ms / small_ms:.1f} times faster, {ratio:.1f} times smaller")',)),
        Place(('print(f"lost {100 * lost:.2f} ± {100 * error:.2f} points")',)),
    ),
)

REVIEW_DEPLOYMENT = review(
    id="4.14",
    minutes=(15, 22),
    reference=review_deployment,
    script=SCRIPT,
    errors=ERRORS,
    hints=(
        "Take the errors one by one. Which line would have to be another one? Some lines only look "
        "like errors: say what each of them does before you report it.",
        "Two errors ask for numbers: set_num_threads may stand twice, with the same number, and "
        "slice(start, stop) has stop - start images. For the other four a word in one line is "
        "enough.",
        "next(line for line in script if 'part = ' in line) is a line; behind split('slice(')[1] "
        "come its two numbers. {line for line in script if 'set_num_threads' in line} has more "
        "than one element where the numbers of threads differ. train(False) is eval().",
    ),
)
