"""How well a language model predicts a text: perplexity, and how sure that number is.

A model gives each token a probability, from what stands before it. In nats::

    loss_t     = -log softmax(logits_t)[token_(t+1)]                                             (1)
    perplexity = exp(mean(loss))                                                                 (2)

Source: Jelinek et al., "Perplexity - a measure of the difficulty of speech recognition tasks",
JASA 1977.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from labkit.validation import integer_tensor, real_tensor

__all__ = ["Perplexity", "difference", "perplexity", "token_losses"]


@dataclass(frozen=True, eq=False)
class Perplexity:
    """The losses of all predicted tokens of a text, and what follows from them.

    Attributes
    ----------
    losses : Tensor
        In nats, one a predicted token, any shape; kept as float64, flat.

    Raises
    ------
    TypeError, ValueError
        If `losses` is not a finite real tensor of two values or more.
    """

    losses: Tensor

    def __post_init__(self) -> None:
        losses = real_tensor(self.losses, "losses").double().flatten()
        if losses.numel() < 2:
            raise ValueError("losses holds one value; expected two or more, for a standard error.")
        object.__setattr__(self, "losses", losses)

    @property
    def loss(self) -> float:
        """The mean loss, in nats a token."""
        return float(self.losses.mean())

    @property
    def loss_error(self) -> float:
        """The standard error of the mean loss, as if tokens were independent."""
        return _standard_error(self.losses)

    @property
    def bits(self) -> float:
        """The mean loss, in bits a token."""
        return self.loss / math.log(2)

    @property
    def value(self) -> float:
        """The perplexity: among how many equally likely tokens the model might as well choose."""
        return math.exp(self.loss) if self.loss < 700 else math.inf

    @property
    def standard_error(self) -> float:
        """The standard error of the perplexity: ``value * loss_error``, the first order of exp."""
        return self.value * self.loss_error

    def __str__(self) -> str:
        return f"{self.value:.4g} ± {self.standard_error:.2g}"


def token_losses(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the loss of each token but the first, equation (1).

    Parameters
    ----------
    logits : Tensor
        Real [..., T, V]: the scores at place t are for the token at place t + 1.
    tokens : Tensor
        Integers [..., T], 0 to V - 1.

    Returns
    -------
    Tensor
        [..., T - 1], nats, float32 (float64 if `logits` is).

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described, or there is nothing to predict.
    """
    logits, tokens = real_tensor(logits, "logits"), integer_tensor(tokens, "tokens").long()
    if logits.ndim < 2 or logits.shape[:-1] != tokens.shape:
        raise ValueError(
            f"logits has shape {tuple(logits.shape)} and tokens {tuple(tokens.shape)}; expected "
            "[..., T, V] and [..., T]."
        )
    if tokens.shape[-1] < 2:
        raise ValueError("tokens holds one token a row; expected two or more: the first is given.")
    if int(tokens.min()) < 0 or int(tokens.max()) >= logits.shape[-1]:
        raise ValueError(
            f"tokens goes from {int(tokens.min())} to {int(tokens.max())}; expected 0 to "
            f"{logits.shape[-1] - 1}, the places of the last axis of logits."
        )
    probabilities = logits[..., :-1, :].log_softmax(-1)
    return -probabilities.gather(-1, tokens[..., 1:, None]).squeeze(-1)


def perplexity(logits: Tensor, tokens: Tensor) -> Perplexity:
    """Return the perplexity of a model on a text, equation (2); arguments as `token_losses`.

    A text in several windows: collect `token_losses` of each, and make a `Perplexity` of all.
    """
    return Perplexity(token_losses(logits, tokens))


def difference(one: Perplexity, other: Perplexity) -> tuple[float, float]:
    """Return how much `one` loses more than `other` on the same tokens, and its standard error.

    Both models find the same tokens hard, so the difference is known far better than either::

        d = one.losses - other.losses;   mean(d) +- std(d) / sqrt(n)

    Parameters
    ----------
    one, other : Perplexity
        Of the same tokens, in the same order.

    Returns
    -------
    tuple of float
        In nats a token. exp of the first is the ratio of the two perplexities.

    Raises
    ------
    ValueError
        If the numbers of tokens differ.
    """
    if one.losses.shape != other.losses.shape:
        raise ValueError(
            f"one has {one.losses.numel()} losses and other {other.losses.numel()}; expected those "
            "of the same tokens."
        )
    d = one.losses - other.losses
    return float(d.mean()), _standard_error(d)


def _standard_error(values: Tensor) -> float:
    return float(torch.std(values) / math.sqrt(values.numel()))
