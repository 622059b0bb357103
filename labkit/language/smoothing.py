"""SmoothQuant: what is hard to quantize moves from the activations to the weights.

A channel of the input is divided by s, the column of the weights that it meets is multiplied::

    x w^T = (x / s) (w s)^T,   s_c = max_t |x[t, c]|^alpha / max_o |w[o, c]|^(1 - alpha)         (1)

The product stays. At alpha = 1/2 both sides are equally large in each channel afterwards. The
division costs nothing at run time: it goes into the weight of the normalization before. Source:
Xiao et al., "SmoothQuant", ICML 2023, arXiv:2211.10438, equations 3 and 4.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from labkit.language.outliers import channel_maxima, matrix
from labkit.validation import real_tensor

__all__ = ["smooth", "smoothing_scales"]


def smoothing_scales(x_maxima: Tensor, w_maxima: Tensor, alpha: float = 0.5) -> Tensor:
    """Return s of equation (1).

    Parameters
    ----------
    x_maxima, w_maxima : Tensor
        Real [in]: the largest magnitude of each channel of the input, and of each column of the
        weights.
    alpha : float
        0 to 1: how much of the difficulty moves.

    Returns
    -------
    Tensor
        float32 [in] (float64 if both are), positive. 1 where either is 0: such a channel is not
        difficult.

    Raises
    ------
    TypeError, ValueError
        If the maxima are no finite real vectors of one length, or `alpha` is not in [0, 1].
    """
    x_maxima, w_maxima = real_tensor(x_maxima, "x_maxima"), real_tensor(w_maxima, "w_maxima")
    if x_maxima.ndim != 1 or x_maxima.shape != w_maxima.shape:
        raise ValueError(
            f"x_maxima has shape {tuple(x_maxima.shape)} and w_maxima {tuple(w_maxima.shape)}; "
            "expected [in] each."
        )
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}; expected a number from 0 to 1.")
    s = x_maxima.abs() ** alpha / w_maxima.abs() ** (1 - alpha)
    return torch.where((x_maxima == 0) | (w_maxima == 0), 1.0, s)


def smooth(
    norm: Tensor, weights: Sequence[Tensor], x_maxima: Tensor, alpha: float = 0.5
) -> tuple[Tensor, list[Tensor]]:
    """Smooth the input of layers that stand behind one normalization, and fold the division there.

    Parameters
    ----------
    norm : Tensor
        Real [in]: the weight of the normalization.
    weights : sequence of Tensor
        Real [out, in] each: all layers that read what it returns, for they share it.
    x_maxima : Tensor
        Real [in]: `channel_maxima` of what it returns, on calibration text.
    alpha : float
        As in `smoothing_scales`.

    Returns
    -------
    tuple of Tensor and list of Tensor
        ``norm / s`` and the weights times s, column by column. Outputs stay, up to rounding.

    Raises
    ------
    TypeError, ValueError
        If shapes disagree or an argument is not as described.
    """
    norm = real_tensor(norm, "norm")
    if not weights:
        raise ValueError("weights is empty; expected the weights of at least one layer.")
    together = torch.cat([matrix(w, "weights") for w in weights])
    if norm.shape != together.shape[1:]:
        raise ValueError(
            f"norm has shape {tuple(norm.shape)} and weights {together.shape[1]} columns; expected "
            "[in] and [out, in]."
        )
    s = smoothing_scales(x_maxima, channel_maxima(together), alpha)
    return norm / s, [w.detach() * s for w in weights]
