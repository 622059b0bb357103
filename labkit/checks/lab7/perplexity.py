"""Exercise 7.1: perplexity, and how sure it is."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, randn, whole
from labkit.checks.rules import Rule


def perplexity(logits: Tensor, tokens: Tensor) -> tuple[float, float]:
    """Return the perplexity of a model on a text, and its standard error."""
    return _of_text(logits, tokens)


def _of_text(
    logits: Tensor,
    tokens: Tensor,
    *,
    aligned: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = lambda x, t: (x[:-1], t[1:]),
    logarithms: Callable[[Tensor], Tensor] = lambda x: x.double().log_softmax(-1),
    base: float = math.e,
    mean: Callable[[Tensor], Tensor] = torch.mean,
    spread: Callable[[Tensor, int], Tensor] = lambda losses, n: losses.std(correction=n),
    correction: int = 1,
    over: Callable[[int], float] = math.sqrt,
    count: Callable[[int], int] = lambda losses: losses,
    slope: Callable[[float], float] = lambda value: value,
) -> tuple[float, float]:
    rows, targets = aligned(logits, tokens)
    losses = -logarithms(rows).gather(-1, targets[:, None])[:, 0].double()
    value = base ** min(float(mean(losses)), 700.0)
    deviation = float(spread(losses, correction))
    return value, slope(value) * deviation / over(count(len(losses)))


def _cases(rng: torch.Generator) -> list[Case]:
    def text(length: int, vocabulary: int, shift: float = 0.0, spread: float = 1.5) -> tuple:
        logits = spread * randn(rng, length, vocabulary) + shift
        return logits, whole(rng, 0, vocabulary - 1, length)

    sure, tokens = text(12, 6)
    sure[:-1] += 4 * torch.nn.functional.one_hot(tokens[1:], 6)
    vocabulary = one(rng, 5, 20)
    return [
        Case("three tokens, so two losses", text(3, 4)),
        Case("a text", text(40, 12)),
        Case("a model that is nearly sure", (sure, tokens)),
        Case("a model that knows nothing", (torch.zeros(9, vocabulary), tokens[:9] % vocabulary)),
        Case("large logits", text(30, 8, 1000.0)),
        Case("large negative logits", text(30, 8, -1000.0)),
        Case("as many tokens as words", text(9, 9)),
    ]


def _overflowing(logits: Tensor) -> Tensor:
    e = logits.exp()
    return (e / e.sum(-1, keepdim=True)).log()


def _mean_of_exponentials(logits: Tensor, tokens: Tensor) -> tuple[float, float]:
    losses = -logits[:-1].double().log_softmax(-1).gather(-1, tokens[1:, None])[:, 0]
    e = losses.exp()
    return float(e.mean()), float(e.std()) / math.sqrt(len(e))


def _one_above(logits: Tensor, tokens: Tensor) -> tuple[float, float]:
    value, error = perplexity(logits, tokens)
    return value, value * math.expm1(error / value)


def _mean_loss(logits: Tensor, tokens: Tensor) -> tuple[float, float]:
    value, error = perplexity(logits, tokens)
    return math.log(value), error / value


PERPLEXITY = Exercise(
    id="7.1",
    title="Perplexity",
    points=3,
    reference=perplexity,
    cases=_cases,
    rules=(Rule(relative=1e-3), Rule(relative=2e-3, absolute=1e-4)),
    names=("perplexity", "standard error"),
    hints=(
        "Two tensors have to be laid side by side first: which row of logits speaks about which "
        "token?",
        "The row at place t predicts the token at place t + 1: logits[:-1] belongs to tokens[1:]. "
        "log_softmax(-1) gives all log probabilities of a row; take that of its token.",
        "losses = -logits[:-1].log_softmax(-1).gather(-1, tokens[1:, None]).flatten(); value = "
        "losses.mean().exp(); return float(value), float(value * losses.std() / len(losses) ** "
        "0.5).",
    ),
    misconceptions=(
        Misconception(
            "does not shift the targets",
            partial(_of_text, aligned=lambda x, t: (x, t)),
            "The logits at place t are about the next token, which the model has not seen: compare "
            "logits[:-1] with tokens[1:]. As it is, the model is asked for a word that it reads.",
        ),
        Misconception(
            "leaves the last token out and does not shift",
            partial(_of_text, aligned=lambda x, t: (x[:-1], t[:-1])),
            "The logits at place t are about the next token, which the model has not seen: compare "
            "logits[:-1] with tokens[1:]. As it is, the model is asked for a word that it reads.",
        ),
        Misconception(
            "leaves the first token out and does not shift",
            partial(_of_text, aligned=lambda x, t: (x[1:], t[1:])),
            "The logits at place t are about the next token, which the model has not seen: compare "
            "logits[:-1] with tokens[1:]. As it is, the model is asked for a word that it reads.",
        ),
        Misconception(
            "shifts the targets the wrong way",
            partial(_of_text, aligned=lambda x, t: (x[1:], t[:-1])),
            "That asks for the token before. The logits at place t are about place t + 1: "
            "logits[:-1] and tokens[1:].",
        ),
        Misconception(
            "shifts round in a circle",
            partial(_of_text, aligned=lambda x, t: (x, t.roll(-1))),
            "The last row of logits is about a token that the text does not have: leave it out, "
            "logits[:-1] and tokens[1:].",
        ),
        Misconception(
            "averages exponentials",
            _mean_of_exponentials,
            "The mean comes first, exp last. The mean of exponentials is ruled by the few tokens "
            "that surprised most.",
        ),
        Misconception(
            "takes the softmax along the text",
            partial(_of_text, logarithms=lambda x: x.double().log_softmax(0)),
            "Probabilities add up to 1 over the vocabulary, the last axis: log_softmax(-1).",
        ),
        Misconception(
            "lets exp overflow",
            partial(_of_text, logarithms=_overflowing),
            "exp(1000) is infinite. Softmax does not change when the largest logit of the row is "
            "taken away first, which log_softmax does by itself.",
        ),
        Misconception(
            "takes probabilities for their logarithms",
            partial(_of_text, logarithms=lambda x: x.double().softmax(-1)),
            "A loss is minus the *logarithm* of a probability: log_softmax(-1).",
        ),
        Misconception(
            "takes the logits for logarithms of probabilities",
            partial(_of_text, logarithms=lambda x: x.double()),
            "Logits are not normalized: log_softmax(-1) makes logarithms of probabilities of them.",
        ),
        Misconception(
            "mixes bits and nats",
            partial(_of_text, base=2.0, slope=lambda value: value ** (1 / math.log(2))),
            "log is to base e here, and so must be what undoes it: exp, not 2 to the power.",
        ),
        Misconception(
            "mixes bits and nats",
            partial(_of_text, base=2.0),
            "log is to base e here, and so must be what undoes it: exp, not 2 to the power.",
        ),
        Misconception(
            "mixes bits and nats",
            partial(_of_text, logarithms=lambda x: x.double().log_softmax(-1) / math.log(2)),
            "log2 is undone by 2 to the power, and exp by a logarithm to base e.",
        ),
        Misconception(
            "returns the mean loss",
            _mean_loss,
            "That is the loss in nats. The perplexity is exp of it, and its error is that of the "
            "loss times the perplexity.",
        ),
        Misconception(
            "gives the error of the mean loss",
            partial(_of_text, slope=lambda value: 1.0),
            "That is how sure the mean loss is. exp has the slope exp: multiply by the perplexity.",
        ),
        Misconception(
            "gives exp of the error of the mean loss",
            lambda logits, tokens: (
                perplexity(logits, tokens)[0],
                math.exp(_mean_loss(logits, tokens)[1]),
            ),
            "A small change of the loss changes exp by its slope: multiply by the perplexity.",
        ),
        Misconception(
            "gives 2 to the power the slope of exp",
            partial(
                _of_text, logarithms=lambda x: x.double().log_softmax(-1) / math.log(2), base=2.0
            ),
            "The slope of 2 ** x is log(2) times itself: multiply the error by log(2), or stay "
            "with log and exp.",
        ),
        Misconception(
            "takes the difference to the perplexity one standard error above",
            _one_above,
            "Asked is the slope times the error: the perplexity times the standard error of the "
            "mean loss.",
        ),
        Misconception(
            "takes the spread of the exponentials",
            partial(
                _of_text,
                spread=lambda losses, n: losses.exp().std(correction=n),
                slope=lambda value: 1.0,
            ),
            "That is ruled by the few tokens that surprised most. Take the spread of the losses, "
            "and multiply by the perplexity.",
        ),
        Misconception(
            "takes the variance for the spread",
            partial(_of_text, spread=lambda losses, n: losses.var(correction=n)),
            "s is the root of that: losses.std().",
        ),
        Misconception(
            "gives a range of 95 percent",
            partial(_of_text, slope=lambda value: 1.96 * value),
            "Asked is one standard error, without the factor 1.96.",
        ),
        Misconception(
            "gives two standard errors",
            partial(_of_text, slope=lambda value: 2 * value),
            "Asked is one standard error, without the factor 2.",
        ),
        Misconception(
            "gives the spread instead of the standard error",
            partial(_of_text, over=lambda n: 1.0),
            "The mean of n losses is surer than a single one by the root of n.",
        ),
        Misconception(
            "divides the spread by n",
            partial(_of_text, over=float),
            "The error shrinks with the root of the number of tokens, not with the number.",
        ),
        Misconception(
            "divides by the root of n - 1",
            partial(_of_text, count=lambda losses: losses - 1),
            "n - 1 stands in the spread, and torch.std has it there already. The error of the mean "
            "is the spread over the root of n, the number of losses.",
        ),
        Misconception(
            "divides by the number of tokens",
            partial(_of_text, count=lambda losses: losses + 1),
            "n tokens have n - 1 losses, for the first is not predicted: divide by "
            "len(losses) ** 0.5.",
        ),
        Misconception(
            "divides by n in the spread",
            partial(_of_text, correction=0),
            "The spread of a sample has n - 1 below its root, as torch.std has and numpy.std has "
            "not.",
        ),
        Misconception(
            "adds up the losses",
            partial(_of_text, mean=torch.sum),
            "The mean over the tokens, or a longer text would be a worse one.",
        ),
        Misconception(
            "divides the sum of the losses by the number of tokens",
            partial(_of_text, mean=lambda losses: losses.sum() / (len(losses) + 1)),
            "n tokens have n - 1 losses, for the first is not predicted: take losses.mean().",
        ),
        Misconception(
            "leaves the minus out",
            partial(_of_text, mean=lambda losses: -losses.mean()),
            "A loss is *minus* the logarithm of a probability: without the minus, the better model "
            "has the larger number.",
        ),
        Misconception(
            "takes the median of the losses",
            partial(_of_text, mean=torch.median),
            "Perplexity is exp of the mean loss: every token counts.",
        ),
        Misconception(
            "takes the softmax twice",
            partial(_of_text, logarithms=lambda x: x.softmax(-1).double().log_softmax(-1)),
            "cross_entropy and log_softmax take logits and have the softmax inside: give them the "
            "logits themselves.",
        ),
    ),
    minutes=(7, 11),
)
