"""Any function of one code is a table of at most 256 bytes.

::

    table[q - qmin] = quantize(f(dequantize(q)))
"""

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.ptq.elementwise import coded, values_of_codes
from labkit.qparams import QParams
from labkit.validation import instance_of

__all__ = ["activation_table"]


def activation_table(
    f: Callable[[Tensor], Tensor], x_qparams: QParams, out_qparams: QParams
) -> Tensor:
    """Return the code of the result for each code of the input.

    Parameters
    ----------
    f : callable
        Takes real numbers, float64 [codes], and returns as many.
    x_qparams, out_qparams : QParams
        The grids, of at most 8 bits, each for the whole tensor.

    Returns
    -------
    Tensor
        Codes of `out_qparams`, [qmax - qmin + 1]; the first belongs to qmin. Rounded ties to even,
        saturated; where f has no value (NaN), the zero point.

    Raises
    ------
    TypeError, ValueError
        If a grid is per channel or wider than 8 bits, or f returns another shape.
    """
    for qparams, name in ((x_qparams, "x_qparams"), (out_qparams, "out_qparams")):
        instance_of(qparams, QParams, name, "model.qparams[name]")
        if qparams.axis is not None or qparams.scheme.bits > 8:
            raise ValueError(
                f"{name} has {qparams.scheme.bits} bits and axis={qparams.axis}; expected one grid "
                "of at most 8 bits for the whole tensor."
            )
    x = values_of_codes(x_qparams)
    y = torch.as_tensor(f(x), dtype=torch.float64)
    if y.shape != x.shape:
        raise ValueError(
            f"f returned shape {tuple(y.shape)} for {tuple(x.shape)}; expected a function that "
            "takes each number on its own."
        )
    return coded(y, out_qparams)
