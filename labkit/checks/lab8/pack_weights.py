"""Exercise 8.10: weights of four bits in the order in which a kernel reads them."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.inputs import whole
from labkit.checks.rules import Codes


def pack_weights(q_w: Tensor) -> Tensor:
    """Return the bytes of each output, channels last, two codes of four bits in each."""
    return _joined(_rows(q_w, (0, 2, 3, 1)))


def _rows(q_w: Tensor, order: tuple[int, ...]) -> Tensor:
    return q_w.permute(*order).flatten(1).long()


def _joined(rows: Tensor, low: int = 0) -> Tensor:
    rows = F.pad(rows, [0, rows.shape[1] % 2])
    fields = rows & 15
    return (fields[:, low::2] | fields[:, 1 - low :: 2] << 4).to(torch.uint8)


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


def _reading(order: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    return lambda q_w: _joined(_rows(q_w, order))


def _without_mask(q_w: Tensor) -> Tensor:
    rows = _rows(q_w, (0, 2, 3, 1))
    rows = F.pad(rows, [0, rows.shape[1] % 2])
    return ((rows[:, ::2] | rows[:, 1::2] << 4) % 256).to(torch.uint8)


def _added(q_w: Tensor) -> Tensor:
    rows = _rows(q_w, (0, 2, 3, 1)) + 8
    return _joined(rows)


def _halves(q_w: Tensor) -> Tensor:
    rows = _rows(q_w, (0, 2, 3, 1))
    rows = F.pad(rows, [0, rows.shape[1] % 2]) & 15
    half = rows.shape[1] // 2
    return (rows[:, :half] | rows[:, half:] << 4).to(torch.uint8)


def _in_one_row(q_w: Tensor) -> Tensor:
    """Cut the bytes of all weights into rows, without a byte's end after each output."""
    rows = _joined(_rows(q_w, (0, 2, 3, 1)).reshape(1, -1))
    wanted = pack_weights(q_w).numel()
    return F.pad(rows, [0, wanted - rows.numel()]).reshape(len(q_w), -1)


def _repeated_last(q_w: Tensor) -> Tensor:
    rows = _rows(q_w, (0, 2, 3, 1))
    return _joined(torch.cat([rows, rows[:, -1:]], 1) if rows.shape[1] % 2 else rows)


def _without_the_last(q_w: Tensor) -> Tensor:
    rows = _rows(q_w, (0, 2, 3, 1))
    return _joined(rows[:, : rows.shape[1] // 2 * 2])


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
            _reading((0, 1, 2, 3)),
            "torch stores all of a channel's weights together. The kernel reads all channels of a "
            "pixel together: permute(0, 2, 3, 1) first.",
        ),
        Misconception(
            "exchanges rows and columns",
            _reading((0, 3, 2, 1)),
            "Rows come before columns: [out, rows, columns, channels] is permute(0, 2, 3, 1).",
        ),
        Misconception(
            "puts the first code into the high half",
            lambda q_w: _joined(_rows(q_w, (0, 2, 3, 1)), low=1),
            "The first code goes into the lowest four bits, the second is shifted left by 4.",
        ),
        Misconception(
            "lets the sign of a code run over its neighbour",
            _without_mask,
            "A negative code has ones in all higher bits, which overwrite the other code: keep "
            "four bits of it, q & 15, before you join the two.",
        ),
        Misconception(
            "adds 8 to the codes",
            _added,
            "The kernel reads two's complement: of -1 the four bits are 15, q & 15. Nothing is "
            "added.",
        ),
        Misconception(
            "puts halves of a row together",
            _halves,
            "Neighbours share a byte here: codes 0 and 1, then 2 and 3.",
        ),
        Misconception(
            "begins an output in the middle of a byte",
            _in_one_row,
            "Each output begins with a whole byte: if a row is odd, its last byte has one code "
            "only.",
        ),
        Misconception(
            "fills an odd row with its last code",
            _repeated_last,
            "If the number of weights is odd, the last upper half is 0.",
        ),
        Misconception(
            "drops the last code of an odd row",
            _without_the_last,
            "An odd row has a last byte that is half full: put a 0 at the row's end first.",
        ),
    ),
    minutes=(7, 11),
    extra=True,
)
