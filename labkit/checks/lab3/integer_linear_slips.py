"""Slips in a linear layer in integers only, for exercise 3.9."""

from functools import partial

import torch

from labkit.checks.exercise import Misconception
from labkit.checks.inputs import INT8, UINT8
from labkit.checks.lab3.gemm import gemm
from labkit.checks.lab3.inputs import INT32, difference_in_8_bits
from labkit.checks.lab3.integer_linear_parts import (
    added_late,
    centred,
    computed,
    half_and_cut,
    in_float32,
    less_128,
    none,
)
from labkit.checks.lab3.ways_to_requantize import (
    clamped_first,
    not_clamped,
    rounded,
    rounded_apart,
    shift_for_zero_point,
    shifted_by,
)

EITHER_SIDE = "A result may lie beyond the codes on either side: clamp to [qmin, qmax]."
PASS_ON = "Codes of the result may be unsigned, or begin at the zero point: pass qmin and qmax on."
IN_ORDER = (
    "requantize takes the accumulators, then mantissa, shift, zero_point, qmin, qmax: hand them "
    "over in this order."
)
NINE_BITS = (
    "q_x - x_zero_point needs 9 bits and wraps: give gemm the codes as they are. Your "
    "fold_zero_point corrects for the zero point."
)


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "leaves out the zero point of the input",
        partial(computed, correction=none),
        "gemm multiplies codes: take x_zero_point times the sums of the weights away (exercise "
        "3.4).",
    ),
    Misconception(
        "does not clamp",
        partial(computed, ends=lambda qmin, qmax: INT32),
        EITHER_SIDE,
    ),
    Misconception(
        "does not clamp above",
        partial(computed, ends=lambda qmin, qmax: (qmin, INT32[1])),
        EITHER_SIDE,
    ),
    Misconception(
        "does not clamp below",
        partial(computed, ends=lambda qmin, qmax: (INT32[0], qmax)),
        EITHER_SIDE,
    ),
    Misconception(
        "leaves out the bias",
        partial(computed, bias=lambda q_bias, rows: 0 * q_bias),
        "Add q_bias to the accumulators.",
    ),
    Misconception(
        "leaves out the bias for a batch of one",
        partial(computed, bias=lambda q_bias, rows: q_bias * (rows > 1)),
        "The bias belongs to every row, however many there are: add q_bias always.",
    ),
    Misconception(
        "adds the zero point's correction",
        partial(computed, folded=torch.add),
        "The correction has a minus: use your fold_zero_point.",
    ),
    Misconception(
        "adds the bias to the codes",
        partial(
            computed,
            bias=lambda q_bias, rows: 0 * q_bias,
            late=added_late,
            requantized=not_clamped,
        ),
        "q_bias is counted in steps of S_x S_w, like the accumulators: add it before requantizing.",
    ),
    Misconception(
        "rounds the sum and the bias apart",
        partial(computed, requantized=rounded_apart),
        "Two roundings lose more than one, and their errors add up. Add the folded bias to the "
        "accumulators, then requantize once.",
    ),
    Misconception(
        "gives the result the input's zero point",
        partial(computed, zeros=lambda of_input, of_result: (of_input, of_input)),
        "Input and output have different grids: requantize needs zero_point, not x_zero_point.",
    ),
    Misconception(
        "hands zero_point and shift to requantize in the wrong order",
        partial(computed, requantized=shift_for_zero_point),
        IN_ORDER,
    ),
    Misconception(
        "exchanges qmin and qmax",
        partial(computed, ends=lambda qmin, qmax: (qmax, qmin)),
        IN_ORDER,
    ),
    Misconception(
        "leaves out the zero point of the result",
        partial(computed, zeros=lambda of_input, of_result: (of_input, 0)),
        "Pass zero_point to requantize: 0.0 has this code in the result.",
    ),
    Misconception(
        "gives the input the result's zero point",
        partial(computed, zeros=lambda of_input, of_result: (of_result, of_result)),
        "Input and output have different grids: fold_zero_point needs x_zero_point, not "
        "zero_point.",
    ),
    Misconception(
        "exchanges the two zero points",
        partial(computed, zeros=lambda of_input, of_result: (of_result, of_input)),
        "x_zero_point belongs to fold_zero_point, zero_point to requantize.",
    ),
    Misconception(
        "takes the zero point of the result off the weights",
        partial(computed, inputs=centred, weights=centred, correction=none),
        "Weights have the zero point 0: multiply q_w as it is. zero_point belongs to requantize "
        "alone.",
    ),
    Misconception(
        "subtracts the zero point of the input in 8 bits",
        partial(computed, inputs=difference_in_8_bits, correction=none),
        NINE_BITS,
    ),
    Misconception(
        "clamps the inputs to 8 bits after taking the zero point away",
        partial(
            computed,
            inputs=lambda q_x, zero_point: (q_x.int() - zero_point).clamp(-128, 127),
            correction=none,
        ),
        "q_x - x_zero_point needs 9 bits, and the clamp changes what 8 bits do not hold: give gemm "
        "the codes as they are, and let your fold_zero_point correct for the zero point.",
    ),
    Misconception(
        "takes the zero point of the input away twice",
        partial(computed, inputs=centred),
        "Either subtract x_zero_point from the inputs or fold it into the bias, not both.",
    ),
    Misconception(
        "takes 128 off unsigned codes and leaves their zero point",
        partial(computed, inputs=less_128),
        "The codes move by 128, so x_zero_point has to move as well; or convert q_x to int32 as "
        "it is, which gemm does.",
    ),
    Misconception(
        "reads unsigned codes as signed ones",
        partial(computed, inputs=lambda q_x, zero_point: q_x.char()),
        "In int8 the code 255 of uint8 becomes -1: give gemm the codes as they are.",
    ),
    Misconception(
        "sums the weights over the outputs",
        partial(computed, correction=lambda q_w, zero_point: zero_point * q_w.sum(0)),
        "Each output has one sum, over its inputs: q_w is [out, in], so dim=1.",
    ),
    Misconception(
        "sums over all weights",
        partial(computed, correction=lambda q_w, zero_point: zero_point * q_w.sum()),
        "Each output has a sum of its own, over its inputs: q_w.sum(dim=1).",
    ),
    Misconception(
        "leaves the zero point out of the correction",
        partial(computed, correction=lambda q_w, zero_point: q_w.sum(1)),
        "Multiply the sums: x_zero_point * q_w.sum(dim=1).",
    ),
    Misconception(
        "multiplies codes and zero point in 8 bits",
        partial(
            computed, correction=lambda q_w, zero_point: (q_w.int() * zero_point).char().sum(1)
        ),
        "q_w * x_zero_point has the dtype of q_w and wraps: sum first, then multiply.",
    ),
    Misconception(
        "subtracts the bias",
        partial(computed, bias=lambda q_bias, rows: -q_bias),
        "Add q_bias; only the correction for the zero point has a minus.",
    ),
    Misconception(
        "adds the bias twice",
        partial(computed, bias=lambda q_bias, rows: 2 * q_bias),
        "fold_zero_point returns a bias with q_bias in it: add that one alone.",
    ),
    Misconception(
        "does not transpose the weights",
        partial(computed, product=gemm),
        "gemm wants [K, N], and q_w is [out, in]: q_w.t().",
    ),
    Misconception(
        "adds up in 16 bits",
        partial(computed, product=lambda q_x, q_w: q_x.short() @ q_w.t().short()),
        "int16 holds one product of the largest codes and no second one (exercise 3.1): use your "
        "gemm.",
    ),
    Misconception(
        "rounds in floating point",
        partial(computed, requantized=partial(rounded, torch.round)),
        "torch.round sends ties to the even neighbour: use your requantize.",
    ),
    Misconception(
        "rounds down",
        partial(computed, requantized=partial(rounded, torch.floor)),
        "A shift alone rounds down: use your requantize.",
    ),
    Misconception(
        "cuts off what is behind the point",
        partial(computed, requantized=partial(rounded, torch.trunc)),
        "The nearest code is half as far away on average: use your requantize.",
    ),
    Misconception(
        "adds one half and cuts off, which goes up below 0",
        partial(computed, requantized=partial(rounded, half_and_cut)),
        "A conversion to integers cuts towards 0, so that -2.7 + 0.5 becomes -2: use your "
        "requantize.",
    ),
    Misconception(
        "clamps before it adds the zero point",
        partial(computed, requantized=clamped_first),
        "The sum can leave the range again: your requantize adds zero_point first, then clamps.",
    ),
    Misconception(
        "clamps to int8, whatever qmin and qmax are",
        partial(computed, ends=lambda qmin, qmax: INT8),
        PASS_ON,
    ),
    Misconception(
        "clamps to uint8, whatever qmin and qmax are",
        partial(computed, ends=lambda qmin, qmax: UINT8),
        PASS_ON,
    ),
    Misconception(
        "returns int8 where codes are unsigned",
        partial(computed, ended=torch.Tensor.char),
        "The codes 128 to 255 do not fit into int8 and wrap. Return what requantize returns.",
    ),
    Misconception(
        "returns the accumulators",
        partial(computed, requantized=lambda product, folded, *_: product + folded),
        "They count steps of S_x S_w. requantize makes codes of the result of them.",
    ),
    Misconception(
        "subtracts the zero point of the result",
        partial(computed, zeros=lambda of_input, of_result: (of_input, -of_result)),
        "On the way to codes it is added: pass zero_point to requantize as it is.",
    ),
    Misconception(
        "corrects by the sums of the inputs, not of the weights",
        partial(
            computed,
            correction=none,
            of_inputs=lambda q_x, zero_point: zero_point * q_x.sum(1, keepdim=True),
        ),
        "The zero point of the input meets the weights: x_zero_point times q_w.sum(dim=1), which "
        "is known ahead (exercise 3.4).",
    ),
    Misconception(
        "takes 128 off the zero point of the input, not off the codes",
        partial(computed, zeros=lambda of_input, of_result: (of_input - 128, of_result)),
        "Codes and zero point move together, or neither does: pass x_zero_point as it is.",
    ),
    *(
        Misconception(
            f"shifts by {said}",
            partial(computed, requantized=partial(shifted_by, exponent)),
            "The mantissa counts steps of 2^-31, so the product is 2^(31 + shift) times too large: "
            "use your requantize.",
        )
        for said, exponent in (
            ("`shift` alone", lambda shift: shift),
            ("31, whatever `shift` is", lambda shift: 31),
            ("31 - shift", lambda shift: 31 - shift),
        )
    ),
    *(
        Misconception(
            "adds up in float32",
            partial(computed, **parts),
            "float32 counts by one up to 2^24 only, and sums of codes are larger: use your gemm.",
        )
        for parts in (
            {"product": in_float32},
            {"product": in_float32, "inputs": centred, "correction": none},
        )
    ),
)
