"""Losses and perplexity beside torch's own cross entropy, and the errors beside resampling."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from labkit.language import Perplexity, difference, perplexity, token_losses

G = torch.Generator().manual_seed(0)
LOGITS = 3 * torch.randn(4, 9, 11, generator=G)
TOKENS = torch.randint(11, (4, 9), generator=G)


def test_losses_are_the_cross_entropy_of_the_next_token() -> None:
    losses = token_losses(LOGITS, TOKENS)
    expected = cross_entropy(LOGITS[:, :-1].flatten(0, 1), TOKENS[:, 1:].flatten())
    assert losses.shape == (4, 8)
    assert float(losses.mean()) == pytest.approx(float(expected), rel=1e-6)
    assert torch.equal(token_losses(LOGITS[2], TOKENS[2]), losses[2])


def test_large_logits_do_not_overflow() -> None:
    assert torch.allclose(
        token_losses(LOGITS + 1e4, TOKENS), token_losses(LOGITS, TOKENS), atol=0.01
    )


def test_a_model_that_knows_nothing_has_the_vocabulary_as_perplexity() -> None:
    found = perplexity(torch.zeros(5, 11), TOKENS[0, :5])
    assert found.value == pytest.approx(11)
    assert found.standard_error == pytest.approx(0, abs=1e-12)
    assert found.bits == pytest.approx(math.log2(11))
    assert str(Perplexity(torch.tensor([1.0, 3.0]))) == "7.389 ± 7.4"


def test_the_standard_error_is_the_spread_of_repeated_measurements() -> None:
    losses = torch.rand(2000, 50, generator=G) ** 2
    measured = [Perplexity(row) for row in losses]
    spread = float(torch.tensor([one.value for one in measured]).std())
    assert spread == pytest.approx(sum(m.standard_error for m in measured) / 2000, rel=0.05)


def test_a_difference_on_the_same_tokens_is_known_better_than_either() -> None:
    one = Perplexity(torch.rand(400, generator=G))
    other = Perplexity(one.losses + 0.1 + 0.01 * torch.randn(400, generator=G))
    mean, error = difference(other, one)
    assert mean == pytest.approx(other.loss - one.loss)
    assert abs(mean - 0.1) < 4 * error < 0.2 * one.loss_error
    assert difference(one, one) == (0, 0)


@pytest.mark.parametrize(
    ("logits", "tokens", "words"),
    [
        (LOGITS, TOKENS[:, 1:], r"\[\.\.\., T, V\] and \[\.\.\., T\]"),
        (LOGITS[:, :1], TOKENS[:, :1], "the first is given"),
        (LOGITS, TOKENS + 1, "expected 0 to 10"),
        (LOGITS, TOKENS.float(), "expected an integer tensor"),
    ],
)
def test_what_does_not_fit_is_refused(logits, tokens, words) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        token_losses(logits, tokens)


def test_measurements_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="two or more"):
        Perplexity(torch.ones(1))
    with pytest.raises(ValueError, match="the same tokens"):
        difference(Perplexity(torch.ones(3)), Perplexity(torch.ones(4)))
