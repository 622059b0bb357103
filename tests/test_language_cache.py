"""The KV cache: what it takes, which way its grids lie, and that tokens come back in order."""

import pytest
import torch

from labkit.language import KVCache, cache_bytes, key_grid, value_grid
from labkit.linear import Scheme, fake_quantize

G = torch.Generator().manual_seed(4)
KEYS, VALUES = (torch.randn(2, 3, 50, 16, generator=G) for _ in range(2))
KEYS[..., 7] *= 30


def test_bytes_are_those_of_keys_and_values() -> None:
    assert cache_bytes(2048, 30, 3, 64) == 2 * 2048 * 30 * 3 * 64 * 2
    assert cache_bytes(1, 1, 1, 8, 4, 0.5) == 9
    with pytest.raises(ValueError, match="0 or more"):
        cache_bytes(-1, 1, 1, 1)


def test_a_key_has_a_grid_a_channel_and_a_value_one_a_token() -> None:
    assert key_grid(KEYS, Scheme(4), 32).scale.shape == (2, 3, 2, 16)
    assert value_grid(VALUES, Scheme(4)).scale.shape == (2, 3, 50, 1)

    def error(grid):
        return (KEYS - fake_quantize(KEYS, grid))[..., :7].square().mean()

    assert error(key_grid(KEYS, Scheme(4))) < 0.05 * error(value_grid(KEYS, Scheme(4)))


@pytest.mark.parametrize("steps", [[50], [1] * 50, [5, 27, 1, 17], [8, 8, 34]])
def test_whatever_the_steps_tokens_are_read_back_in_order(steps: list[int]) -> None:
    cache, start = KVCache(Scheme(4), 8), 0
    for step in steps:
        keys, values = cache.append(
            KEYS[..., start : start + step, :], VALUES[..., start : start + step, :]
        )
        start += step
        assert len(cache) == keys.shape[-2] == values.shape[-2] == start
    full = KEYS[..., :48, :]
    assert torch.equal(keys[..., :48, :], fake_quantize(full, key_grid(full, Scheme(4), 8)))
    assert torch.equal(keys[..., 48:, :], KEYS[..., 48:, :])
    assert torch.equal(values, fake_quantize(VALUES, value_grid(VALUES, Scheme(4))))


def test_what_is_kept_is_counted() -> None:
    cache = KVCache(Scheme(4), 8)
    assert cache.bytes == 0
    cache.append(KEYS[0, 0, :10], VALUES[0, 0, :10])
    bits = 8 * 16 * 4 + 16 * 20 + 2 * 16 * 16 + 10 * 16 * 4 + 10 * 20
    assert cache.bytes == bits / 8


def test_what_does_not_fit_is_refused() -> None:
    cache = KVCache(Scheme(4))
    with pytest.raises(ValueError, match="expected as many"):
        cache.append(KEYS, VALUES[..., :3, :])
    with pytest.raises(ValueError, match="tokens, width"):
        cache.append(KEYS[0, 0, 0], VALUES[0, 0, 0])
    with pytest.raises(TypeError, match="Scheme"):
        KVCache(4)  # type: ignore[arg-type]
