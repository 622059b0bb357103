"""Each picture makes slips visible: a known mistake draws something else than a right answer.

What is drawn is compared as data, without rendering: lines, images, patches and texts.
"""

from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.text import Text

from labkit import plots
from labkit.checks import registry
from labkit.checks.exercise import Exercise
from labkit.language import hessian, inverse_factor

EXERCISES = {e.id: e for number in registry.STEMS for e in registry.exercises(number)}
G = torch.Generator().manual_seed(0)
VALUES, COUNTS = torch.linspace(0.1, 6, 40), torch.linspace(90, 1, 40).long()
BINS = (400 * torch.exp(-torch.arange(40) / 8)).floor()
BINS[[30, 33]] = 0
MERGED = torch.tensor([40.0, 36, 30, 0, 22, 19, 11, 12, 0, 6, 5, 3, 0, 0, 1])
LHS = torch.randint(0, 256, (8, 20), generator=G, dtype=torch.uint8)
RHS = torch.randint(-128, 128, (20, 12), generator=G, dtype=torch.int8)
BATCHES = [torch.randn(3, 5, generator=G) for _ in range(4)]
W1 = torch.randn(6, 3, generator=G) * torch.logspace(-2, 2, 6)[:, None]
BELL = torch.randn(400, generator=G)
Y = torch.randn(8, 3, 4, 4, generator=G)
SIZES, RIGHT = [600, 170, 180, 180, 100, 100, 100], [0.925, 0.6, 0.925, 0.92, 0.91, 0.9, 0.91]
PROBLEM = (
    0.5 * torch.randn(4, 8, generator=G),
    torch.randn(40, 8, generator=G),
    torch.randint(0, 4, (40,), generator=G),
    0.5,
)
CLUSTERS = (
    torch.tensor([-1.9, -1.2, -1.0, -0.2, 0.1, 0.9, 1.0, 2.2]),
    torch.tensor([-2.0, 0.0, 0.5, 2.0, 3.0]),
)
LATER = torch.Generator().manual_seed(1)
LAYER = (
    torch.randn(6, 16, generator=LATER),
    torch.randn(40, 16, generator=LATER) @ (torch.eye(16) + 0.3) * torch.logspace(-1, 1, 16),
)
TWO = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
FACTOR = inverse_factor(hessian(LAYER[1])).float()
STEPS = LAYER[0].abs().amax(1, keepdim=True).expand(6, 16) / 7

ORDER = ((0,), (1,), (2,), (3, 1), (4,), (5, 4))
LIVES = torch.tensor([40, 60, 70, 60, 70, 30, 80]), *EXERCISES["8.6"].reference(ORDER)

DRAWINGS: dict[str, Callable[[Any], Axes]] = {
    "0.2": lambda f: plots.bit_rows(f, [1.0, 2.0, -6.5, 0.15625, 0.1]),
    "0.3": lambda f: plots.number_lines(f, [(5, 2), (4, 3), (3, 4), (2, 5)]),
    "0.5": plots.gaps,
    "0.6": plots.bf16_drift,
    "0.7": lambda f: plots.wheel(f, 4),
    "1.2": lambda f: plots.rulers(f, -1.0, 2.0, 0, 15),
    "1.3": lambda f: plots.staircase(f, 0.25, 2, -8, 7),
    "1.5": plots.tie_drift,
    "1.7": lambda f: plots.error_against_threshold(f, BELL, bits=4),
    "1.10": lambda f: plots.bytes_of(f, torch.tensor([-1, 3, -8, 7, 5], dtype=torch.int8), 4),
    "2.1": lambda f: plots.range_over_batches({"yours": f}, [x + 3 for x in BATCHES]),
    "2.3": lambda f: plots.bucket_bars(f, BELL, 12),
    "2.5": lambda f: plots.mse_curves(f, VALUES, COUNTS, torch.linspace(0.3, 6, 20), (4, 3)),
    "2.6": plots.kl_of_coins,
    "2.7": lambda f: plots.merged_histogram(f, MERGED, 6),
    "2.8": lambda f: plots.kl_search(f, BINS, 0.1, 8),
    "3.1": lambda f: plots.overflowing_sum(f, 255, 127, 16),
    "3.3": lambda f: plots.four_terms(f, LHS, RHS, 128, 40),
    "3.5": lambda f: plots.multiplier_error(f, 1e-5),
    "3.6": lambda f: plots.rounding_rules(f, 3),
    "3.10": lambda f: plots.patches_as_columns(
        f, torch.arange(10, 22, dtype=torch.int8).reshape(1, 3, 4), 3, -9
    ),
    "3.11": lambda f: plots.activation_curves(f, EXERCISES["3.7"].reference, 0.06, -20),
    "4.8": lambda f: plots.mean_errors(f, torch.ones(3), Y, Y + 0.3 * Y.flip(0) + 0.1),
    "4.9": lambda f: plots.equalized_ranges(f, W1, torch.randn(4, 6, generator=G)),
    "4.10": lambda f: plots.trade_off(
        f, list("ABCDEFG"), SIZES, RIGHT, [1.0] * len(SIZES), [0.005] * len(SIZES)
    ),
    "5.1": lambda f: plots.slope_of_rounding(f, 0.25, -7, 7),
    "5.2": lambda f: plots.descent_through_rounding(f, [0.2, 4.3], [3.0, -1.0], 0.06, 30),
    "5.3": lambda f: plots.gradient_window(f, 0.25, 3, 0, 15),
    "5.4": lambda f: plots.step_size_gradient(f, -3, 3),
    "5.6": lambda f: plots.paths_of_weights(f, PROBLEM, 10, 0.3),
    "5.8": lambda f: plots.binary_error(f, PROBLEM[0]),
    "6.2": lambda f: plots.levels_over_steps(f, *CLUSTERS, 4),
    "6.8": lambda f: plots.q4_0_staircase(f, torch.linspace(-3.9, 4, 400)),
    "6.9": lambda f: plots.mxfp4_staircase(f, torch.linspace(-12, 15.8, 400)),
    "7.2": lambda f: plots.outliers(f, LAYER[1]),
    "7.3": lambda f: plots.codes_of_tokens(f, LAYER[1][:8]),
    "7.5": lambda f: plots.smoothed(f, torch.ones(16), LAYER[0], LAYER[1].abs().amax(0), 0.7),
    "7.6": lambda f: plots.weights_in_groups(f, LAYER[0][:1], 4, 8),
    "7.7": lambda f: plots.errors_over_alpha(f, *LAYER, [0.0, 0.5, 1.0], (4, 3), 8),
    "7.8": lambda f: plots.correction(f, torch.tensor([0.4, 0.3]), TWO, 0.0),
    "7.10": lambda f: plots.codes_moved(f, LAYER[0], FACTOR, STEPS, 4),
    "7.11": lambda f: plots.rotated(f, LAYER[1][:1]),
    "7.13": lambda f: plots.seconds_over_tokens(f, 10**6, (32, 4.5), 1e10, 5e10),
    "8.1": lambda f: plots.door_table(f, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 0.017, 118),
    "8.3": lambda f: plots.table_of_codes(f, (0.05, -20), (0.03, -110)),
    "8.4": lambda f: plots.three_ways_down(f, 2),
    "8.5": lambda f: plots.saturated_and_wrapped(f, 3),
    "8.6": lambda f: plots.lives(f, ORDER),
    "8.7": lambda f: plots.peak_of_order(f, *LIVES),
    "8.8": lambda f: plots.placed_tensors(f, *LIVES),
}
# What a picture of a few numbers does not show: other inputs than the drawn ones, a dtype, a rare
# special case, a factor that is 1 in it. The first mistake of an exercise is never among them.
UNSEEN = {
    "0.2": ("goes by way of the value",),
    "0.3": (
        "forgets the sign",
        "loses the sign of subnormals",
        "loses the sign of normal numbers",
    ),
    "0.5": (
        "looks at negative numbers as if they were small",
        "gives 0 at zero",
        "gives the gap of 1 at zero",
        "cuts log2 towards 0",
    ),
    "0.6": (
        "loses the carry",
        "loses the sign",
        "keeps large numbers from becoming infinity",
    ),
    "0.7": ("converts to an integer dtype of torch",),
    "1.2": (
        "rounds the zero point down",
        "gives a range of nothing but 0 the scale 0",
        "gives a range of nothing but 0 a tiny scale",
        "widens below 0 only",
    ),
    "1.3": ("returns int8",),
    "1.5": (
        "adds one half first",
        "takes what is near a tie for a tie",
        "converts to an",
        "takes negative odd integers",
        "goes up from odd integers only",
        "begins with the integer towards zero",
        "loses the sign",
    ),
    "1.7": (
        "multiplies the logarithm by 20",
        "divides noise by signal",
        "takes the variance",
        "leaves the",
        "adds the zero point to the ends of the range",
        "takes the natural logarithm",
        "forgets the factor 10",
        "takes the peak for the signal",
        "takes the sum for the signal",
        "takes magnitudes for the signal",
    ),
    "1.10": (
        "adds a byte when the last one is full",
        "shifts by 4 bits, however many a code has",
        "keeps four bits of every code",
        "returns signed bytes",
    ),
    "2.1": (
        "widens below 0 only",
        "takes the largest magnitude",
        "gives the",
        "leaves rmin at 0",
        "skips the m",
    ),
    "2.3": ("counts in", "shifts by 20", "asks for"),
    "2.5": ("clips everything below 0", "clamps above only", "uses one code more below 0"),
    "2.6": (
        "takes the logarithm of empty bins",
        "leaves out the bins where q is 0",
        "makes NaN of bins that are empty in both",
        "replaces infinity by the largest float",
    ),
    "2.7": ("divides by 0 where a whole level is empty",),
    "3.1": (
        "lets the sum reach",
        "does not count a sum",
        "cuts off",
        "rounds to the",
        "says that one product",
        "ignores `bits`",
        "divides in float32",
    ),
    "3.3": ("reads the signed codes of `q_lhs`", "computes in float32"),
    "3.5": ("lets the mantissa", "halves", "changes the shift", "clamps", "takes a power of two"),
    "3.6": (
        "computes in the dtype",
        "takes one off below zero",
        "goes through float64",
        "returns int32",
        "divides in float32",
    ),
    "3.10": (
        "moves by",
        "puts the channels last",
        "pads by half",
        "reads unsigned",
        "takes every pixel of the code 0",
        "takes 128 off unsigned codes",
    ),
    "3.11": (
        "lets relu6 end beyond",
        "ends at",
        "cuts off",
        "rounds 6",
        "does not round",
        "takes -128 and 127",
        "adds one half",
    ),
    "4.10": (
        "returns zeros and ones",
        "sorts by size, whatever comes first",
        "compares sizes in float32",
        "keeps the convex hull only",
    ),
    "5.1": (
        "leaves the zero point in",
        "takes the zero point",
        "has the zero point's sign",
        "clamps to -qmax",
        "adds the zero point on the way back",
    ),
    "5.2": ("rounds the gradient", "rounds the target"),
    "5.3": ("forgets the gradient that comes from above", "keeps the codes in int8"),
    "5.6": ("stops when all images are right",),
    "5.8": (
        "takes the sign bit",
        "bounds the scale from below",
        "gives 0 the sign",
        "uses one scale",
        "returns one number",
        "has one scale for each row of a kernel",
        "keeps an axis",
        "takes the mean over weights that are not 0",
    ),
    "6.2": (
        "assigns the values anew",
        "keeps the level where",
        "takes steps until",
        "takes two steps",
    ),
    "6.8": (
        "gives a block of zeros",
        "divides a block of zeros",
        "drops the sign",
        "takes the largest",
        "rounds the scale",
    ),
    "6.9": ("sends values halfway", "cuts the exponent", "takes the", "divides two logarithms"),
    "7.2": ("keeps the axis",),
    "7.3": (
        "leaves the scale of a token",
        "gives a token of zeros",
        "adds a small number",
        "rounds the scales to 16 bits",
    ),
    "7.5": (
        "divides by 0",
        "bounds the maxima",
        "looks at the",
        "looks for zeros",
        "replaces only",
        "puts 1 for",
    ),
    "7.6": (
        "drops the fraction of a bit",
        "leaves the codes in groups",
        "leaves the scale of a group",
        "gives a group of zeros",
        "cuts the transposed",
        "lays the groups",
        "makes a row",
        "keeps an axis",
        "has all scales",
    ),
    "7.7": ("does not bound", "bounds s instead", "does not scale a channel"),
    "7.8": (
        "takes the magnitude of the error",
        "lets each of the others",
        "moves only the weights",
        "divides each place",
        "takes the factor of the inverse",
    ),
    "7.10": (
        "does not clamp",
        "takes the error before",
        "uses all codes",
        "makes up for the errors of its block",
        "takes the scales of the first column for all",
    ),
    "7.11": ("divides by the number of doublings",),
    "8.3": ("has no code -128",),
    "8.4": (
        "lets x + half overflow",
        "takes the magnitude of the lowest",
        "divides in float32",
        "shifts in float32",
        "rounds in float32",
        "adds 1 where nothing is shifted",
    ),
    "8.5": ("cuts to int32", "takes the remainder of float"),
    "8.6": ("keeps tensors that nobody reads", "knows of no tensor that nobody reads"),
    "8.7": ("adds up in", "never looks at"),
    "8.8": (
        "takes the tightest gap",
        "takes the widest gap",
        "takes the highest gap",
        "looks for a gap",
        "does not sort the places",
        "forgets that an earlier place",
        "needs one byte",
    ),
}


@pytest.fixture(autouse=True)
def _no_open_figures():
    yield
    plt.close("all")


def drawn(ax: Axes) -> Iterator[tuple[str, bytes]]:
    """Yield what axes and the panels in them hold."""
    for line in ax.lines:
        yield "line", np.nan_to_num(np.asarray(line.get_xydata(), dtype=float)).tobytes()
    for image in ax.images:
        yield "image", np.asarray(image.get_array(), dtype=float).tobytes()
    for patch in ax.patches:
        colour = np.asarray(patch.get_facecolor())
        yield "patch", patch.get_path().vertices.tobytes() + colour.tobytes()
        yield "placed", patch.get_patch_transform().get_matrix().tobytes()
    for collection in ax.collections:
        paths = [np.asarray(path.vertices) for path in collection.get_paths()]
        yield "collection", b"".join(path.tobytes() for path in paths)
    yield "texts", _joined([*ax.texts, ax.title])
    for panel in ax.child_axes:
        yield from drawn(panel)
    # Last: making them takes longer than all the rest.
    yield "ticks", _joined([*ax.get_xticklabels(), *ax.get_yticklabels()])


def _joined(texts: list[Text]) -> bytes:
    return "|".join(text.get_text() for text in texts).encode()


def picture(exercise: Exercise, answer: Any) -> Iterator[tuple[str, bytes]]:
    """Yield what an answer draws, as far as anybody asks for it."""
    ax = DRAWINGS[exercise.id](answer)
    for axes in ax.figure.axes or [ax]:
        yield from drawn(axes)


@pytest.mark.parametrize("key", DRAWINGS)
def test_the_slips_of_an_exercise_are_seen_in_its_picture(key: str) -> None:
    exercise, unseen = EXERCISES[key], UNSEEN.get(key, ())
    right = list(picture(exercise, exercise.reference))

    def seen(wrong: Any) -> bool:
        both = zip_longest(right, picture(exercise, wrong))
        found = any(one != other for one, other in both)
        plt.close("all")
        return found

    first, *others = exercise.misconceptions
    assert seen(first.wrong)
    hidden = [m.name for m in others if not seen(m.wrong)]
    assert [name for name in hidden if not name.startswith(unseen)] == []
    assert [start for start in unseen if not any(name.startswith(start) for name in hidden)] == []
