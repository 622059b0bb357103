"""Exercise 4.12: a test of fold_batchnorm."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.checks.exercise import Misconception
from labkit.checks.lab4.fold_batchnorm import FOLD_BATCHNORM
from labkit.checks.property_test import ALWAYS_NO, property_test


def folding_is_right(fold_batchnorm: Callable[..., Any]) -> bool:
    """Return whether a layer folded by an implementation of exercise 4.1 computes the same."""
    rng = torch.Generator().manual_seed(0)
    for shape, multiply in (
        ((4, 3), F.linear),
        ((4, 3, 2), F.conv1d),
        ((4, 3, 2, 2), F.conv2d),
    ):
        weight = torch.randn(shape, generator=rng)
        x = torch.randn(5, 3, *[6] * (len(shape) - 2), generator=rng)
        bias, mean, beta = torch.randn(3, 4, generator=rng)
        gamma = torch.tensor([1.5, -0.7, 2.0, -1.2])
        var = torch.tensor([0.0, 0.3, 1.0, 2.5])
        wanted = F.batch_norm(multiply(x, weight, bias), mean, var, gamma, beta, eps=0.02)
        folded = fold_batchnorm(weight, bias, mean, var, gamma, beta, 0.02)
        if not torch.allclose(multiply(x, *map(torch.as_tensor, folded)), wanted, atol=1e-4):
            return False
    return True


def _with(**changed: Any) -> Callable[..., bool]:
    """Return a test on a linear layer in which some of the numbers say too little."""

    def test(candidate: Callable[..., Any]) -> bool:
        rng = torch.Generator().manual_seed(1)
        given: dict[str, Any] = {"weight": torch.randn(4, 3, generator=rng)}
        given |= {name: torch.randn(4, generator=rng) for name in ("bias", "mean")}
        given |= {"var": torch.tensor([0.1, 0.3, 1.0, 2.5])}
        given |= {
            "gamma": torch.tensor([1.5, -0.7, 2.0, -1.2]),
            "beta": torch.randn(4, generator=rng),
        }
        given |= {"eps": 0.02, **changed}
        return _same(candidate, torch.randn(5, 3, generator=rng), **given)

    return test


def _same(candidate: Callable[..., Any], x: Tensor, **given: Any) -> bool:
    mean, var, gamma, beta = (given[name] for name in ("mean", "var", "gamma", "beta"))
    y = F.linear(x, given["weight"], given["bias"])
    wanted = F.batch_norm(y, mean, var, gamma, beta, eps=given["eps"])
    return torch.allclose(F.linear(x, *candidate(**given)), wanted, atol=1e-4)


def _has_negative_variance(*given: Any) -> bool:
    """Return whether var, the fourth of the arguments, is below 0 somewhere."""
    return any(bool((torch.as_tensor(var) < 0).any()) for var in given[3:4])


OTHER_DIGITS = (
    "Who computes in another order gets other last digits, and is right: allow for them with "
    "torch.allclose(..., atol=1e-4)."
)
FOLDING_IS_RIGHT = property_test(
    id="4.12",
    title="Write the test of folding",
    tested=FOLD_BATCHNORM,
    without=(
        "knows layers of four dimensions only",
        "knows layers of two dimensions only",
        "adds eps to the factor, after the division",
        "multiplies the mean by the sum of the weights",
        "exchanges gamma and beta",
        "squares eps under the root",
        "keeps the variance above eps instead of adding it",
        "takes eps away",
        "takes var for the standard deviation, and squares it",
        "multiplies by the standard deviation",
        "has gamma and the standard deviation upside down",
        "takes beta away",
        "takes the bias away from the mean",
        "leaves out the mean",
        "does not multiply the bias by the factor",
        "lines the factors up with the last dimension",
    ),
    minutes=(12, 18),
    reference=folding_is_right,
    right=(
        (
            "one that computes in float64",
            "lambda f: lambda *args: tuple(t.to(args[0].dtype) for t in f(*(a.double() if "
            "isinstance(a, torch.Tensor) else a for a in args)))",
            OTHER_DIGITS,
        ),
        (
            "one that folds channel by channel",
            "lambda f: lambda w, *args: tuple(map(torch.cat, zip(*(f(w[i:i + 1], *(a[i:i + 1] for "
            "a in args[:-1]), args[-1]) for i in range(len(w))))))",
            OTHER_DIGITS,
        ),
    ),
    hints=(
        "There is one property that says it all: before and after folding, the layer and its batch "
        "normalization give the same output for the same input.",
        "F.batch_norm(F.linear(x, weight, bias), mean, var, gamma, beta, eps=eps) against "
        "F.linear(x, *fold_batchnorm(...)), with torch.allclose. Which numbers would hide a slip? "
        "A bias of 0, a gamma of 1, an eps that is small against var.",
        "Take gamma with both signs, a var of 0 in one channel, eps = 0.02, a bias and a beta that "
        "are not 0; and weights of two, three and four dimensions (F.linear, F.conv1d, F.conv2d).",
    ),
    misconceptions=(
        Misconception(
            "tests layers without a bias",
            _with(bias=torch.zeros(4)),
            "Most mistakes are made with the bias of the layer. Take one that is not 0.",
        ),
        Misconception(
            "tests with gamma 1 and beta 0, as they are before training",
            _with(gamma=torch.ones(4), beta=torch.zeros(4)),
            "Whoever forgets gamma or beta passes. Take other numbers, of both signs.",
        ),
        Misconception(
            "tests with an eps of 1e-5",
            _with(eps=1e-5),
            "Beside an ordinary variance it does not show: take 0.02, and a variance of 0.",
        ),
        Misconception(
            "tests with a mean of 0",
            _with(mean=torch.zeros(4)),
            "What happens to the mean stays unseen. Take one that is not 0.",
        ),
        Misconception(
            "never says no",
            lambda candidate: True,
            "Compare the outputs before and after folding, and return whether they are close.",
        ),
        replace(
            ALWAYS_NO,
            message="A test that refuses right code is of no use. Folding rounds in another order: "
            "allow for it with torch.allclose(..., atol=1e-4). A batch norm in training mode takes "
            "mean and variance of the batch: call .eval(). F.batch_norm takes gamma before beta.",
        ),
    ),
    reminders=(
        (
            "A variance of yours is below 0, which no variance is: its root is NaN, and NaN is not "
            "even close to itself. Draw it with torch.rand, or take .abs().",
            _has_negative_variance,
        ),
        (
            "Is a batch norm of yours in training mode, where it takes mean and variance of the "
            "batch? Call .eval(). And F.batch_norm takes the variance, not its root, gamma before "
            "beta, and eps=eps, or it is 1e-5.",
            lambda *given: not _has_negative_variance(*given),
        ),
    ),
    traits=(
        ("`weight` has four dimensions", lambda weight, *_: weight.ndim == 4),
        ("`weight` has two dimensions", lambda weight, *_: weight.ndim == 2),
        (
            "`eps` is small beside `var`",
            lambda weight, bias, mean, var, gamma, beta, eps: bool((eps < 0.01 * var).all()),
        ),
    ),
)
