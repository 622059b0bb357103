"""Slips with the zero points of a product of codes, for exercise 3.3."""

from functools import partial

import torch

from labkit.checks.exercise import Misconception
from labkit.checks.lab3.zero_point_parts import (
    COLUMNS,
    ROWS,
    along,
    clamped,
    corrected,
    in_8_bits,
    in_16_bits,
    none,
    of_all,
    shifted,
    wrapped,
)

OWN_SUMS = "Each row of q_lhs has a sum of its own (dim=1), and each column of q_rhs (dim=0)."
IS_K = "K is the length of the sums, q_lhs.shape[1]; M and N are the shape of the result."
NINE_BITS = (
    "q - Z needs 9 bits: 3 - 128 wraps to 131 in uint8. That is why chips multiply the codes as "
    "they are and correct afterwards."
)
AXES = "The sums run over k: along the rows of q_lhs, dim=1, and down the columns of q_rhs, dim=0."
NO_MEANS = (
    "The zero point meets every code of a row, so it counts as often as there are codes: sum, not "
    "mean."
)
SATURATES = "q - Z needs 9 bits, -255 to 255: give it the room of int32, and clamp nothing."
SUMS_WRAP = "A sum of codes does not fit into 8 bits and wraps: sum without dtype=, in int64."


MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "ignores the zero points",
        partial(corrected, of_rows=none, of_columns=none, corner=lambda *_: 0),
        "That is the product of the codes alone. Take the other three terms into account.",
    ),
    Misconception(
        "leaves out the last term",
        partial(corrected, corner=lambda *_: 0),
        "Minus times minus: K * Z_lhs * Z_rhs has been taken away once too often. Add it.",
    ),
    Misconception(
        "subtracts the last term",
        partial(corrected, corner=lambda length, lhs, rhs: -length * lhs * rhs),
        "(-Z_lhs)(-Z_rhs) is positive: the last term is added.",
    ),
    Misconception(
        "adds Z_lhs * Z_rhs once",
        partial(corrected, length=lambda *_: 1),
        "The sum over k adds it K times: K * Z_lhs * Z_rhs, with K = q_lhs.shape[1].",
    ),
    Misconception(
        "multiplies each sum by its own zero point",
        partial(corrected, met=lambda lhs, rhs: (lhs, rhs)),
        "The cross terms cross: the rows of q_lhs go with rhs_zero_point, the columns of q_rhs "
        "with lhs_zero_point.",
    ),
    Misconception(
        "adds the two cross terms",
        partial(corrected, of_rows=along(1, -1), of_columns=along(0, -1)),
        "(a - Z_a)(b - Z_b) has two terms with a minus: take them away.",
    ),
    Misconception(
        "adds the row sums",
        partial(corrected, of_rows=along(1, -1)),
        "(a - Z_a)(b - Z_b) has two terms with a minus: take the row sums away as well.",
    ),
    Misconception(
        "adds the column sums",
        partial(corrected, of_columns=along(0, -1)),
        "(a - Z_a)(b - Z_b) has two terms with a minus: take the column sums away as well.",
    ),
    Misconception(
        "leaves out the row sums of `q_lhs`",
        partial(corrected, of_rows=none),
        "The right zero point meets every code of a row: take rhs_zero_point * q_lhs.sum(dim=1, "
        "keepdim=True) away.",
    ),
    Misconception(
        "leaves out the column sums of `q_rhs`",
        partial(corrected, of_columns=none),
        "The left zero point meets every code of a column: take lhs_zero_point * "
        "q_rhs.sum(dim=0, keepdim=True) away.",
    ),
    Misconception(
        "leaves the zero point out of the row sums",
        partial(corrected, of_rows=lambda q, zero_point: q.sum(1, keepdim=True)),
        "Multiply them: rhs_zero_point * q_lhs.sum(dim=1, keepdim=True).",
    ),
    Misconception(
        "leaves the zero point out of the column sums",
        partial(corrected, of_columns=lambda q, zero_point: q.sum(0, keepdim=True)),
        "Multiply them: lhs_zero_point * q_rhs.sum(dim=0, keepdim=True).",
    ),
    Misconception(
        "takes another length than K for the last term",
        partial(corrected, length=lambda q_lhs, q_rhs: len(q_lhs)),
        IS_K,
    ),
    Misconception(
        "takes another length than K for the last term",
        partial(corrected, length=lambda q_lhs, q_rhs: q_rhs.shape[1]),
        IS_K,
    ),
    Misconception(
        "counts all codes of a matrix in the last term",
        partial(corrected, length=lambda q_lhs, q_rhs: q_lhs.numel()),
        "One sum has K = q_lhs.shape[1] products, not as many as q_lhs has codes.",
    ),
    Misconception(
        "sums over whole matrices",
        partial(corrected, of_rows=of_all, of_columns=of_all),
        OWN_SUMS,
    ),
    Misconception(
        "sums over all of `q_lhs`",
        partial(corrected, of_rows=of_all),
        OWN_SUMS,
    ),
    Misconception(
        "sums over all of `q_rhs`",
        partial(corrected, of_columns=of_all),
        OWN_SUMS,
    ),
    Misconception(
        "lays the row sums of `q_lhs` along the columns",
        partial(corrected, of_rows=lambda q, zero_point: zero_point * q.sum(1)),
        "A sum for each row must stand in a column, [M, 1]: q_lhs.sum(dim=1, keepdim=True).",
    ),
    Misconception(
        "stands the column sums of `q_rhs` in a column",
        partial(corrected, of_columns=lambda q, zero_point: zero_point * q.sum(0).unsqueeze(1)),
        "A sum for each column must lie in a row, [1, N]: q_rhs.sum(dim=0, keepdim=True).",
    ),
    Misconception(
        "exchanges the axes of the sums",
        partial(corrected, of_rows=COLUMNS, of_columns=ROWS),
        AXES,
    ),
    Misconception(
        "sums `q_lhs` down its columns",
        partial(corrected, of_rows=COLUMNS),
        AXES,
    ),
    Misconception(
        "sums `q_rhs` along its rows",
        partial(corrected, of_columns=ROWS),
        AXES,
    ),
    Misconception(
        "takes means instead of sums",
        partial(
            corrected,
            of_rows=lambda q, zero_point: zero_point * q.double().mean(1, keepdim=True),
            of_columns=lambda q, zero_point: zero_point * q.double().mean(0, keepdim=True),
        ),
        NO_MEANS,
    ),
    Misconception(
        "takes means instead of sums",
        partial(
            corrected,
            of_rows=lambda q, zero_point: zero_point * q.double().mean(1, keepdim=True),
            of_columns=lambda q, zero_point: zero_point * q.double().mean(0, keepdim=True),
            ended=torch.Tensor.long,
        ),
        NO_MEANS,
    ),
    Misconception(
        "corrects for lhs_zero_point alone",
        partial(corrected, of_rows=none, corner=lambda *_: 0),
        "The right operand has a zero point, too: take rhs_zero_point * q_lhs.sum(dim=1, "
        "keepdim=True) away, and add K * lhs_zero_point * rhs_zero_point.",
    ),
    Misconception(
        "corrects for rhs_zero_point alone",
        partial(corrected, of_columns=none, corner=lambda *_: 0),
        "The left operand has a zero point, too: take lhs_zero_point * q_rhs.sum(dim=0, "
        "keepdim=True) away, and add K * lhs_zero_point * rhs_zero_point.",
    ),
    Misconception(
        "subtracts the zero points in 8 bits",
        partial(shifted, left=in_8_bits, right=in_8_bits),
        NINE_BITS,
    ),
    Misconception(
        "subtracts `lhs_zero_point` in 8 bits",
        partial(shifted, left=in_8_bits),
        NINE_BITS,
    ),
    Misconception(
        "subtracts `rhs_zero_point` in 8 bits",
        partial(shifted, right=in_8_bits),
        NINE_BITS,
    ),
    Misconception(
        "reads the signed codes of `q_lhs` as unsigned ones, or takes 128 off them in int8",
        partial(shifted, left=lambda q, zero_point: q.byte().long() - zero_point),
        "In uint8 the code -1 becomes 255. In int8, -1 - 128 wraps to 127: only unsigned codes may "
        "be moved by 128. Convert q_lhs to int32 as it is.",
    ),
    Misconception(
        "reads the signed codes of `q_rhs` as unsigned ones",
        partial(shifted, right=lambda q, zero_point: q.byte().long() - zero_point),
        "In uint8 the code -1 becomes 255. Convert q_rhs to int32 as it is.",
    ),
    Misconception(
        "reads the unsigned codes of `q_lhs` as signed ones",
        partial(shifted, left=lambda q, zero_point: q.char().long() - zero_point),
        "In int8 the code 255 of uint8 becomes -1: convert q_lhs to int32 as it is.",
    ),
    Misconception(
        "takes 128 off unsigned codes and leaves their zero point",
        partial(
            shifted,
            left=lambda q, zero_point: q.long() - 128 * (q.dtype == torch.uint8) - zero_point,
        ),
        "The codes move by 128, so lhs_zero_point has to move as well; or convert q_lhs to int32 "
        "as it is.",
    ),
    Misconception(
        "moves the zero point of unsigned codes by 128 and leaves the codes",
        partial(
            shifted,
            left=lambda q, zero_point: q.long() + 128 * (q.dtype == torch.uint8) - zero_point,
        ),
        "Codes and zero point move together, or neither does: convert q_lhs to int32 as it is.",
    ),
    Misconception(
        "clamps the codes to 8 bits after taking the zero points away",
        partial(shifted, left=clamped, right=clamped),
        SATURATES,
    ),
    Misconception(
        "multiplies codes and zero points in 8 bits",
        partial(
            corrected,
            of_rows=lambda q, zero_point: wrapped(q, zero_point).sum(1, keepdim=True),
            of_columns=lambda q, zero_point: wrapped(q, zero_point).sum(0, keepdim=True),
        ),
        "q_lhs * rhs_zero_point has the dtype of q_lhs and wraps. Sum first (torch sums in "
        "int64), then multiply the sums.",
    ),
    Misconception(
        "adds the row sums up in 8 bits",
        partial(
            corrected,
            of_rows=lambda q, zero_point: zero_point * q.sum(1, keepdim=True, dtype=q.dtype).int(),
        ),
        SUMS_WRAP,
    ),
    Misconception(
        "computes in float32",
        partial(shifted, product=lambda lhs, rhs: (lhs.float() @ rhs.float()).long()),
        "float32 has 24 bits for the number: beyond 2^24 it cannot count by one any more. Multiply "
        "in int32, with your gemm.",
    ),
    Misconception(
        "adds the products up in 16 bits",
        partial(corrected, product=in_16_bits),
        "int16 holds one product of the largest codes and no second one (exercise 3.1): use your "
        "gemm.",
    ),
    Misconception(
        "adds up in 16 bits",
        partial(shifted, product=in_16_bits),
        "q - Z fits into int16, the sum of the products does not (exercise 3.1). Use int32.",
    ),
)
