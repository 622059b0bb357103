"""What the layers of a model really see: their inputs on a text, recorded in bounded memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from labkit.language.few_bit import linear_layers
from labkit.language.model import LanguageModel
from labkit.language.outliers import channel_maxima, token_maxima
from labkit.progress_bar import progress_bar
from labkit.validation import integer_tensor, whole_number

__all__ = ["InputMaxima", "record_inputs", "record_maxima", "watch_inputs", "watching"]

Observe = Callable[[str, Tensor], None]


@contextmanager
def watching(layers: dict[str, nn.Module], observe: Observe) -> Iterator[None]:
    """Meanwhile, call ``observe(name, x)`` with the input of each layer, [N, tokens, in]."""

    def hook(name: str) -> Callable:
        return lambda _, arguments: observe(name, arguments[0].detach())

    handles = [layer.register_forward_pre_hook(hook(name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def watch_inputs(
    model: LanguageModel,
    tokens: Tensor,
    observe: Observe,
    layers: Iterable[str] | None = None,
    progress: bool = False,
) -> None:
    """Run a text through a model, one sequence at a time, and show what its layers see.

    Parameters
    ----------
    model : LanguageModel
    tokens : Tensor
        Integers [N, tokens].
    observe : callable
        Called with a layer's name and its input [1, tokens, in]; to keep an input costs memory.
    layers : iterable of str, optional
        Their names; all of `linear_layers` by default.
    progress : bool
        Whether to show a bar.

    Raises
    ------
    TypeError, ValueError
        If `tokens` is no such tensor, or there is no such layer.
    """
    tokens = sequences(tokens)
    known = linear_layers(model)
    names = list(known) if layers is None else list(layers)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f"there is no layer {unknown[0]!r}; expected names from linear_layers(model), such as "
            f"{next(iter(known))!r}."
        )
    with torch.inference_mode(), watching({name: known[name] for name in names}, observe):
        for sequence in progress_bar(tokens, "recording", progress):
            model.hidden(sequence[None])


def record_inputs(
    model: LanguageModel,
    tokens: Tensor,
    layers: Sequence[str],
    most_tokens: int = 2048,
    progress: bool = False,
) -> dict[str, Tensor]:
    """Return what layers see on a text.

    Parameters
    ----------
    model, tokens, layers, progress
        As in `watch_inputs`.
    most_tokens : int
        Of each layer the inputs of so many tokens are kept, the first ones: 4 bytes a channel each.

    Returns
    -------
    dict of str to Tensor
        Name to float32 [tokens, in], at most `most_tokens` rows, in the order of the text.

    Raises
    ------
    TypeError, ValueError
        As `watch_inputs`; if `most_tokens` is below 1.
    """
    if whole_number(most_tokens, "most_tokens") < 1:
        raise ValueError(f"most_tokens is {most_tokens}; expected 1 or more.")
    tokens = sequences(tokens)
    needed = -(-most_tokens // tokens.shape[1])
    kept: dict[str, list[Tensor]] = {name: [] for name in layers}
    watch_inputs(
        model,
        tokens[:needed],
        lambda name, x: kept[name].append(x.flatten(0, 1).float()),
        layers,
        progress,
    )
    return {name: torch.cat(rows)[:most_tokens] for name, rows in kept.items()}


@dataclass(frozen=True, eq=False)
class InputMaxima:
    """The largest magnitudes of a layer's input.

    Attributes
    ----------
    channels : Tensor
        float32 [in], of each channel over all tokens.
    tokens : Tensor
        float32 [N, tokens], of each token over all channels.
    """

    channels: Tensor
    tokens: Tensor

    @property
    def ratio(self) -> float:
        """The largest channel over the median one: how far an outlier sticks out."""
        return float(self.channels.max() / self.channels.median())


def record_maxima(
    model: LanguageModel,
    tokens: Tensor,
    layers: Sequence[str] | None = None,
    progress: bool = False,
) -> dict[str, InputMaxima]:
    """Return the largest magnitudes of layers' inputs on a text; none of the inputs is kept.

    Parameters
    ----------
    model, tokens, layers, progress
        As in `watch_inputs`.

    Raises
    ------
    TypeError, ValueError
        As `watch_inputs`.
    """
    channels: dict[str, Tensor] = {}
    rows: dict[str, list[Tensor]] = {}

    def observe(name: str, x: Tensor) -> None:
        largest = channel_maxima(x)
        channels[name] = torch.maximum(channels.get(name, largest), largest)
        rows.setdefault(name, []).append(token_maxima(x))

    watch_inputs(model, tokens, observe, layers, progress)
    return {name: InputMaxima(channels[name], torch.cat(rows[name])) for name in channels}


def sequences(tokens: Tensor) -> Tensor:
    """Return `tokens`, refused unless they are integers [N, tokens]."""
    tokens = integer_tensor(tokens, "tokens")
    if tokens.ndim != 2:
        raise ValueError(
            f"tokens has shape {tuple(tokens.shape)}; expected [N, tokens], for example "
            "tokens[None] for one sequence."
        )
    return tokens.long()
