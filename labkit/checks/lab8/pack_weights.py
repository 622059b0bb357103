"""Exercise 8.10: weights of four bits in the order in which a kernel reads them."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import whole
from labkit.checks.rules import Codes


def pack_weights(q_w: Tensor) -> Tensor:
    """Return the bytes of each output, channels last, two codes of four bits in each."""
    return _packed(q_w)


def _filled(rows: Tensor, value: int = 0) -> Tensor:
    return F.pad(rows, [0, rows.shape[1] % 2], value=value)


def _packed(
    q_w: Tensor,
    *,
    order: tuple[int, ...] = (0, 2, 3, 1),
    field: Callable[[Tensor], Tensor] = lambda rows: rows & 15,
    filled: Callable[[Tensor], Tensor] = _filled,
    apart: Callable[[Tensor], tuple[Tensor, Tensor]] = lambda rows: (rows[:, ::2], rows[:, 1::2]),
    turned: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = lambda low, high: (low, high),
    joined: Callable[[Tensor, Tensor], Tensor] = lambda low, high: low | high << 4,
) -> Tensor:
    low, high = turned(*apart(filled(field(_rows(q_w, order)))))
    return (joined(low, high) % 256).to(torch.uint8)


def _rows(q_w: Tensor, order: tuple[int, ...]) -> Tensor:
    return q_w.permute(*order).flatten(1).long()


def _cases(rng: torch.Generator) -> list[Case]:
    def case(label: str, *shape: int, low: int = -8, high: int = 7) -> Case:
        return Case(label, (whole(rng, low, high, *shape).to(torch.int8),))

    return [
        case("a kernel of one pixel", 1, 4, 1, 1),
        case("two channels, two columns", 1, 2, 1, 2),
        case("three by three", 2, 4, 3, 3),
        case("an odd number of weights", 3, 3, 3, 3),
        case("a depthwise layer", 4, 1, 3, 3),
        case("codes that are not negative", 2, 2, 2, 3, low=0),
        case("a kernel that is no square", 2, 3, 2, 3),
    ]


def _halves(rows: Tensor) -> tuple[Tensor, Tensor]:
    half = rows.shape[1] // 2
    return rows[:, :half], rows[:, half:]


def _in_one_row(q_w: Tensor) -> Tensor:
    """Cut the bytes of all weights into rows, without a byte's end after each output."""
    wanted = pack_weights(q_w).numel()
    rows = _packed(_rows(q_w, (0, 2, 3, 1)).reshape(1, -1, 1, 1))
    return F.pad(rows, [0, wanted - rows.numel()]).reshape(len(q_w), -1)


def _pixel_by_pixel(q_w: Tensor) -> Tensor:
    pixels = F.pad(q_w, [0, 0, 0, 0, 0, q_w.shape[1] % 2])
    return pack_weights(pixels)


def _repeated_last(rows: Tensor) -> Tensor:
    return torch.cat([rows, rows[:, -1:]], 1) if rows.shape[1] % 2 else rows


PACK_WEIGHTS = Exercise(
    id="8.10",
    title="Weights in reading order",
    points=2,
    reference=pack_weights,
    cases=_cases,
    rules=(Codes(dtype="uint8"),),
    hints=(
        "The innermost loop of 8.9 goes through the channels. So they must lie side by side: "
        "[out, rows, columns, channels]. Then two codes go into each byte.",
        "permute(0, 2, 3, 1) puts the channels last, flatten(1) makes a row of each output. A code "
        "in four bits is q & 15; the first goes into the low half, the next one << 4 into the "
        "high half. An odd row gets a 0 at its end.",
        "rows = q_w.permute(0, 2, 3, 1).flatten(1).int(); rows = torch.nn.functional.pad(rows, [0, "
        "rows.shape[1] % 2]) & 15; return (rows[:, ::2] | rows[:, 1::2] << 4).to(torch.uint8).",
    ),
    misconceptions=(
        Misconception(
            "keeps torch's order",
            partial(_packed, order=(0, 1, 2, 3)),
            "torch stores all of a channel's weights together. The kernel reads all channels of a "
            "pixel together: permute(0, 2, 3, 1) first.",
        ),
        Misconception(
            "exchanges rows and columns",
            partial(_packed, order=(0, 3, 2, 1)),
            "Rows come before columns: [out, rows, columns, channels] is permute(0, 2, 3, 1).",
        ),
        Misconception(
            "puts the first code into the high half",
            partial(_packed, turned=lambda low, high: (high, low)),
            "The first code goes into the lowest four bits, the second is shifted left by 4.",
        ),
        Misconception(
            "lets the sign of a code run over its neighbour",
            partial(_packed, field=torch.clone),
            "A negative code has ones in all higher bits, which overwrite the other code: keep "
            "four bits of it, q & 15, before you join the two.",
        ),
        *(
            Misconception(
                "adds 8 to the codes",
                partial(_packed, **parts),
                "That is how GGUF's Q4_0 stores them. The kernel reads two's complement: of -1 the "
                "four bits are 15, q & 15. Nothing is added.",
            )
            for parts in (
                {"field": lambda rows: rows + 8 & 15},
                {"field": lambda rows: rows + 8 & 15, "filled": partial(_filled, value=8)},
            )
        ),
        Misconception(
            "adds codes with their signs",
            partial(_packed, field=torch.clone, joined=lambda low, high: low + 16 * high),
            "A negative code takes 1 away from its neighbour: keep four bits of each, q & 15, "
            "before you join the two.",
        ),
        Misconception(
            "joins two codes in the same four bits",
            partial(_packed, joined=lambda low, high: low | high),
            "The second code belongs into the upper half: << 4.",
        ),
        Misconception(
            "takes the magnitude of the codes",
            partial(_packed, field=lambda rows: rows.abs() & 15),
            "The kernel reads two's complement: of -1 the four bits are 15, q & 15.",
        ),
        Misconception(
            "keeps three bits of a code",
            partial(_packed, field=lambda rows: rows & 7),
            "The fourth bit is the sign: q & 15.",
        ),
        Misconception(
            "shifts by 3",
            partial(_packed, joined=lambda low, high: low | high << 3),
            "A code has four bits, so the next one begins at the fifth: << 4.",
        ),
        Misconception(
            "puts a code alone into each byte",
            lambda q_w: (_rows(q_w, (0, 2, 3, 1)) & 15).to(torch.uint8),
            "Two codes of four bits share a byte: low | high << 4.",
        ),
        Misconception(
            "has all outputs in one row",
            lambda q_w: pack_weights(q_w).flatten(),
            "A row of bytes for each output: [out, bytes].",
        ),
        Misconception(
            "fills an odd row at its beginning",
            partial(_packed, filled=lambda rows: F.pad(rows, [rows.shape[1] % 2, 0])),
            "An odd row gets its 0 at the end, in the last upper half.",
        ),
        Misconception(
            "puts the outputs last",
            partial(_packed, order=(2, 3, 1, 0)),
            "The outputs stay first, a row each: permute(0, 2, 3, 1).",
        ),
        Misconception(
            "puts halves of a row together",
            partial(_packed, apart=_halves),
            "Neighbours share a byte here: codes 0 and 1, then 2 and 3.",
        ),
        Misconception(
            "begins an output in the middle of a byte",
            _in_one_row,
            "Each output begins with a whole byte: if a row is odd, its last byte has one code "
            "only.",
        ),
        Misconception(
            "fills the channels of each pixel",
            _pixel_by_pixel,
            "Only a whole row may be odd: flatten it first, then add a 0 at its end.",
        ),
        Misconception(
            "fills an odd row with its last code",
            partial(_packed, filled=_repeated_last),
            "If the number of weights is odd, the last upper half is 0.",
        ),
        Misconception(
            "drops the last code of an odd row",
            partial(_packed, filled=lambda rows: rows[:, : rows.shape[1] // 2 * 2]),
            "An odd row has a last byte that is half full: put a 0 at the row's end first.",
        ),
    ),
    minutes=(7, 11),
    extra=True,
)
