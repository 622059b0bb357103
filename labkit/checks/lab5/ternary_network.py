"""Exercise 5.9: a trained result, judged by the weights themselves."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import randn
from labkit.checks.rules import Mismatch, Open
from labkit.checks.values import Plain, enumerated, number

CLASSES, INPUTS, DIRECTIONS, IMAGES = 10, 48, 16, 200
RATE, MOMENTUM, STEPS = 8.0, 0.9, 80
PLENTY = 0.92
FEW_LEVELS, MANY_LEVELS = 6, INPUTS // 2
EVEN = 0.01  # of a step, between steps of one grid


def ternary_network(w: Tensor, x: Tensor, labels: Tensor) -> Tensor:
    """Return ternary weights that classify `x`: each row holds nothing but -S, 0 and S."""
    best, most = _on_grid(w), -1.0
    real, step = w, torch.zeros_like(w)
    for _ in range(STEPS):
        ternary = _on_grid(real)
        right = float(((x @ ternary.t()).argmax(1) == labels).float().mean())
        if right > most:
            best, most = ternary, right
        if most >= PLENTY:
            break
        # Straight through: what the ternary weights' gradient is, the real ones take.
        step = MOMENTUM * step - RATE * _gradient(ternary, x, labels)
        real = real + step
    return best


def _gradient(w: Tensor, x: Tensor, labels: Tensor) -> Tensor:
    """Return the cross entropy's gradient; an optimizer of torch takes 2 s to load."""
    error = (x @ w.t()).softmax(1) - F.one_hot(labels, CLASSES)
    return error.t() @ x / len(x)


def _on_grid(w: Tensor) -> Tensor:
    scale = 1.4 * w.abs().mean(1, keepdim=True)
    return torch.round(w / scale).clamp(-1, 1) * scale


def _rounded_at_the_end(w: Tensor, x: Tensor, labels: Tensor) -> Tensor:
    step = torch.zeros_like(w)
    for _ in range(STEPS):
        step = MOMENTUM * step - RATE * _gradient(w, x, labels)
        w = w + step
    return _on_grid(w)


@dataclass(frozen=True)
class TernaryClassifier(Open):
    """Any ternary weights that are right on enough images; what was printed counts for nothing.

    Attributes
    ----------
    least : float
        The share of images that must be right, 0 to 1.
    """

    what: str = "images that are classified right"
    least: float = 0.84

    def reached(self, name: str, got: np.ndarray, args: tuple, seed: int) -> float | Mismatch:
        """Measure ternary weights [classes, inputs] on the images and labels of the call."""
        _, x, labels = args
        w = got.astype(np.float64)
        if not np.isfinite(w).all():
            return Mismatch(f"{name} holds NaN or infinity; expected finite weights.")
        size = np.abs(w)
        largest = size.max(1, keepdims=True)
        between = _between(size)
        if between.any():
            row = int(np.argwhere(between)[0, 0])
            columns = not _between(size.T).any()
            return Mismatch(f"Row {row} of the weights holds {_levels_of(w[row], columns)}")
        # What counts as 0 or S is 0 or S: in what is left of them real weights could hide.
        w = np.sign(w) * (size > largest / 2) * (largest / max(largest.max(), 1e-300))
        return float(((x.double().numpy() @ w.T).argmax(1) == labels.numpy()).mean())

    def level(self, expected: Plain, args: tuple) -> float:
        """Return the share that is enough whatever the reference reaches."""
        return self.least

    def too_low(self, got: Plain, args: tuple, reached: float, level: float) -> str:
        """Say what the weights reach."""
        return (
            f"Your weights are ternary, and right on {reached:.1%} of the images; expected "
            f"{level:.0%} or more. {_seen(got, args[0].double().numpy())}"
        )


def _between(size: np.ndarray) -> np.ndarray:
    """Return which magnitudes are neither 0 nor the largest of their row."""
    largest = size.max(1, keepdims=True)
    return (size > 1e-4 * largest) & (size < (1 - 1e-4) * largest)


def _levels_of(row: np.ndarray, columns: bool) -> str:
    """Say which numbers a row holds that is not ternary, and what they look like."""
    largest = np.abs(row).max()
    levels = np.unique(np.round(row / largest, 4)) * largest
    several = len(levels) > FEW_LEVELS
    held = f"{len(levels)} different numbers" if several else enumerated([*map(number, levels)])
    asked = f"{held}; expected no others than -S, 0 and S, with one S a row."
    if columns:
        return f"{asked} Yours have one S for each column; S belongs to a row."
    if len(levels) > MANY_LEVELS:
        return (
            f"{asked} These are real weights: return what the forward pass computes with, "
            "torch.round(w / S).clamp(-1, 1) * S."
        )
    if (levels > 0).sum() == (levels < 0).sum() == 1:
        return (
            f"{asked} Here positive and negative weights have sizes of their own, as in trained "
            "ternary quantization: give both the same S."
        )
    steps = np.diff(levels)
    if len(steps) and np.ptp(steps) < EVEN * steps[0]:
        beyond = 0 in levels
        return f"{asked} " + (
            "These are the codes of a grid with more than three levels: .clamp(-1, 1) before you "
            "multiply by S."
            if beyond
            else "These are evenly spaced, and 0 is none of them: what is added to them, a mean "
            "for instance, has to go."
        )
    return asked


def _seen(ternary: np.ndarray, real: np.ndarray) -> str:
    """Say what such weights show of how they were made from the real ones."""
    kept = np.abs(ternary) > np.abs(ternary).max(1, keepdims=True) / 2
    if kept.all():
        return "None of them is 0: two levels, -S and S, have less to choose from than three."
    size = np.abs(real)
    least = np.where(kept, size, np.inf).min(1)
    most = np.where(kept, 0.0, size).max(1)
    if (least >= most).all() and (np.sign(ternary) == np.sign(real))[kept].all():
        return (
            "They are what rounding `w` gives: nothing was trained, or no step was large enough to "
            "bring a weight to another level. Keep real weights that add the steps up, and see "
            "that a gradient reaches them: through torch.round it is 0, through "
            "w + (ternary - w).detach() it is not."
        )
    return (
        "They are no longer what rounding `w` gives, so something was trained. Does the loss see "
        "the ternary weights in every step, and does its gradient reach the real ones?"
    )


def _cases(rng: torch.Generator) -> list[Case]:
    return [Case(f"network {number}", _problem(rng)) for number in (1, 2, 3)]


def _problem(rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return real weights that are always right, images, and labels.

    The images fill a few directions only. In the others the weights are free, so that there are
    ternary ones that are nearly always right. Rounding does not find them, neither right away nor
    at the end of a training that does not feel it.
    """
    directions, _ = torch.linalg.qr(randn(rng, INPUTS, INPUTS))
    used, free = directions[:, :DIRECTIONS], directions[:, DIRECTIONS:]
    x = randn(rng, IMAGES, DIRECTIONS) @ used.t() * (INPUTS / DIRECTIONS) ** 0.5
    ternary = torch.randint(-1, 2, (CLASSES, INPUTS), generator=rng).float()
    w = ternary @ used @ used.t() + randn(rng, CLASSES, INPUTS) @ free @ free.t()
    return 2 * w, x, (x @ ternary.t()).argmax(1)


TERNARY_NETWORK = Exercise(
    id="5.9",
    title="Train it yourself",
    points=4,
    minutes=(15, 23),
    extra=True,
    reference=ternary_network,
    cases=_cases,
    rules=(TernaryClassifier(),),
    hints=(
        "Rounding w alone fails. Put together what you have: ternary weights forward, straight "
        "through backward, and the loop of 5.6 until the images come out right.",
        "S can be 1.4 times the mean of |w| in each row, taken anew in every step. 80 steps of "
        "Adam with a learning rate of 0.05 are plenty.",
        "In each step: ternary = torch.round(w / S).clamp(-1, 1) * S; logits = x @ (w + (ternary "
        "- w).detach()).t(); nn.functional.cross_entropy(logits, labels).backward(); "
        "optimizer.step(); optimizer.zero_grad(). Return the ternary weights that were right most "
        "often, not w.",
    ),
    misconceptions=(
        Misconception(
            "returns the weights as rounding alone gives them",
            lambda w, x, labels: _on_grid(w),
            "That is post-training quantization: it is where you start. Either nothing is trained, "
            "or the steps are too small to bring any weight to another code.",
        ),
        Misconception(
            "trains real weights and rounds them at the end",
            _rounded_at_the_end,
            "The loss must feel the rounding in every step: compute the logits with the ternary "
            "weights, and send the gradient straight through to the real ones.",
        ),
        Misconception(
            "returns signs",
            lambda w, x, labels: torch.where(w < 0, -1.0, 1.0),
            "Signs are ternary weights, if not the best, and nothing was trained.",
        ),
        Misconception(
            "returns real weights",
            lambda w, x, labels: w.clone(),
            "They are always right, but not ternary. Return what the forward pass computes with.",
        ),
        Misconception(
            "returns the codes of a min-max grid",
            lambda w, x, labels: torch.round(w / w.abs().amax(1, keepdim=True)),
            "With S at the largest weight nearly everything rounds to 0, and nothing was trained.",
        ),
    ),
)
