"""Exercise 7.1: perplexity, and how sure it is."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import one, randn, whole
from labkit.checks.rules import Rule


def perplexity(logits: Tensor, tokens: Tensor) -> tuple[float, float]:
    """Return the perplexity of a model on a text, and its standard error."""
    return _summary(_losses(logits[:-1], tokens[1:]))


def _losses(logits: Tensor, targets: Tensor) -> Tensor:
    return -logits.double().log_softmax(-1).gather(-1, targets[:, None])[:, 0]


def _summary(losses: Tensor) -> tuple[float, float]:
    value = math.exp(losses.mean())
    return value, value * float(losses.std()) / math.sqrt(len(losses))


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


def _with_losses(losses: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], tuple]:
    return lambda logits, tokens: _summary(losses(logits, tokens))


def _from(summary: Callable[[Tensor], tuple]) -> Callable[[Tensor, Tensor], tuple]:
    return lambda logits, tokens: summary(_losses(logits[:-1], tokens[1:]))


def _overflowing(logits: Tensor, tokens: Tensor) -> Tensor:
    e = logits[:-1].exp()
    return -(e / e.sum(-1, keepdim=True)).log().gather(-1, tokens[1:, None])[:, 0].double()


def _over_tokens(logits: Tensor, tokens: Tensor) -> Tensor:
    return -logits[:-1].double().log_softmax(0).gather(-1, tokens[1:, None])[:, 0]


def _mean_of_exponentials(losses: Tensor) -> tuple[float, float]:
    e = losses.exp()
    return float(e.mean()), float(e.std()) / math.sqrt(len(e))


def _value(losses: Tensor) -> float:
    return math.exp(losses.mean())


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
            _with_losses(_losses),
            "The logits at place t are about the next token, which the model has not seen: compare "
            "logits[:-1] with tokens[1:]. As it is, the model is asked for a word that it reads.",
        ),
        Misconception(
            "shifts the targets the wrong way",
            _with_losses(lambda logits, tokens: _losses(logits[1:], tokens[:-1])),
            "That asks for the token before. The logits at place t are about place t + 1: "
            "logits[:-1] and tokens[1:].",
        ),
        Misconception(
            "averages exponentials",
            _from(_mean_of_exponentials),
            "The mean comes first, exp last. The mean of exponentials is ruled by the few tokens "
            "that surprised most.",
        ),
        Misconception(
            "takes the softmax along the text",
            _with_losses(_over_tokens),
            "Probabilities add up to 1 over the vocabulary, the last axis: log_softmax(-1).",
        ),
        Misconception(
            "lets exp overflow",
            _with_losses(_overflowing),
            "exp(1000) is infinite. Softmax does not change when the largest logit of the row is "
            "taken away first, which log_softmax does by itself.",
        ),
        Misconception(
            "mixes bits and nats",
            _from(lambda losses: (2.0 ** float(losses.mean()), _summary(losses)[1])),
            "log is to base e here, and so must be what undoes it: exp, not 2 to the power.",
        ),
        Misconception(
            "returns the mean loss",
            _from(
                lambda losses: (float(losses.mean()), float(losses.std()) / math.sqrt(len(losses)))
            ),
            "That is the loss in nats. The perplexity is exp of it, and its error is that of the "
            "loss times the perplexity.",
        ),
        Misconception(
            "gives the error of the mean loss",
            _from(lambda losses: (_value(losses), float(losses.std()) / math.sqrt(len(losses)))),
            "That is how sure the mean loss is. exp has the slope exp: multiply by the perplexity.",
        ),
        Misconception(
            "gives the spread instead of the standard error",
            _from(lambda losses: (_value(losses), _value(losses) * float(losses.std()))),
            "The mean of n losses is surer than a single one by the root of n.",
        ),
        Misconception(
            "divides the spread by n",
            _from(
                lambda losses: (_value(losses), _value(losses) * float(losses.std()) / len(losses))
            ),
            "The error shrinks with the root of the number of tokens, not with the number.",
        ),
        Misconception(
            "divides by n in the spread",
            _from(
                lambda losses: (
                    _value(losses),
                    _value(losses) * float(losses.std(correction=0)) / math.sqrt(len(losses)),
                )
            ),
            "The spread of a sample has n - 1 below its root, as torch.std has and numpy.std has "
            "not.",
        ),
        Misconception(
            "adds up the losses",
            _from(lambda losses: (math.exp(min(700.0, float(losses.sum()))), _summary(losses)[1])),
            "The mean over the tokens, or a longer text would be a worse one.",
        ),
        Misconception(
            "takes the softmax twice",
            lambda logits, tokens: perplexity(logits.softmax(-1), tokens),
            "cross_entropy and log_softmax take logits and have the softmax inside: give them the "
            "logits themselves.",
        ),
    ),
    minutes=(7, 11),
)
