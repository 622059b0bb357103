"""Exercise 1.10: pack codes in bytes."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.rules import Codes


def pack(q: Tensor, bits: int) -> Tensor:
    """Return the codes of `q` packed in bytes, the first code in the lowest bits."""
    per_byte = 8 // bits
    fields = torch.zeros(-(-len(q) // per_byte) * per_byte, dtype=torch.int32)
    fields[: len(q)] = q.to(torch.int32) & (2**bits - 1)
    shifts = torch.arange(per_byte) * bits
    return (fields.reshape(-1, per_byte) << shifts).sum(dim=1).to(torch.uint8)


def _codes(rng: torch.Generator, bits: int, count: int) -> Tensor:
    half = 2 ** (bits - 1)
    return torch.randint(-half, half, (count,), generator=rng, dtype=torch.int8)


def _pack_cases(rng: torch.Generator) -> list[Case]:
    return [
        Case("two codes of 4 bits", (torch.tensor([3, 5], dtype=torch.int8), 4)),
        Case("negative codes of 4 bits", (torch.tensor([-1, 2, 7, -8], dtype=torch.int8), 4)),
        Case("four codes of 2 bits", (_codes(rng, 2, 4), 2)),
        Case("one code", (_codes(rng, 4, 1), 4)),
        Case("a last byte that is not full", (_codes(rng, 4, 7), 4)),
        Case("a last byte that is not full, 2 bits", (_codes(rng, 2, 9), 2)),
        Case("unsigned codes", (_codes(rng, 4, 6).add(8).byte(), 4)),
        Case("unsigned codes of 2 bits", (_codes(rng, 2, 6).add(2).byte(), 2)),
        Case("codes in 32 bits each, as quantize returns them", (_codes(rng, 4, 6).int(), 4)),
        Case("nothing but zeros", (torch.zeros(8, dtype=torch.int8), 2)),
    ]


def _masked(q: Tensor, bits: int) -> Tensor:
    return q & (2**bits - 1)


def _filled(q: Tensor, per_byte: int) -> Tensor:
    return torch.cat([q, q.new_zeros(-len(q) % per_byte)])


def _any_of(fields: Tensor) -> Tensor:
    total, *columns = fields.unbind(1)
    for column in columns:
        total = total | column
    return total


def _byte_for_byte(
    q: Tensor,
    bits: int,
    *,
    masked: Callable[[Tensor, int], Tensor] = _masked,
    filled: Callable[[Tensor, int], Tensor] = _filled,
    laid: Callable[[Tensor, int], Tensor] = lambda q, per_byte: q.reshape(-1, per_byte),
    moved: Callable[[Tensor, int], Tensor] = lambda places, bits: places * bits,
    joined: Callable[[Tensor], Tensor] = lambda fields: fields.sum(1),
    given: Callable[[Tensor], Tensor] = lambda packed: packed.to(torch.uint8),
) -> Tensor:
    """Return the bytes, of which any part may be another one."""
    per_byte = 8 // bits
    fields = laid(filled(masked(q.to(torch.int64), bits), per_byte), per_byte)
    return given(joined(fields << moved(torch.arange(per_byte), bits)) & 255)


PACK = Exercise(
    id="1.10",
    title="Pack codes in bytes",
    points=3,
    minutes=(8, 12),
    extra=True,
    reference=pack,
    cases=_pack_cases,
    rules=(Codes(dtype="uint8"),),
    hints=(
        "Write 3 and -1 in four bits each, then push them together to eight. What must happen to "
        "the ones that a negative number has on its left?",
        "q & (2**bits - 1) keeps the lowest bits only, for negative codes too. Shift the second "
        "code by `bits`, the third by 2 * bits, and add.",
        "Fill up with zeros to a multiple of 8 // bits, reshape to [-1, 8 // bits], shift column i "
        "by i * bits with <<, sum along dim 1, .to(torch.uint8). Work in int32 until then.",
    ),
    misconceptions=(
        Misconception(
            "puts the first code in the highest bits",
            partial(_byte_for_byte, moved=lambda places, bits: places.flip(0) * bits),
            "Here the first code lies lowest, as in ONNX's INT4 tensors.",
        ),
        Misconception(
            "adds negative codes without masking them",
            partial(_byte_for_byte, masked=lambda q, bits: q),
            "A negative code's sign bits run over into its neighbours: keep q & (2**bits - 1).",
        ),
        Misconception(
            "joins negative codes without masking them",
            partial(_byte_for_byte, masked=lambda q, bits: q, joined=_any_of),
            "A negative code's sign bits run over into its neighbours: keep q & (2**bits - 1).",
        ),
        Misconception(
            "loses the last codes when they do not fill a byte",
            partial(_byte_for_byte, filled=lambda q, per_byte: q[: len(q) // per_byte * per_byte]),
            "Fill the last byte up with zeros.",
        ),
        Misconception(
            "adds a byte when the last one is full",
            partial(
                _byte_for_byte,
                filled=lambda q, per_byte: torch.cat(
                    [q, q.new_zeros(per_byte - len(q) % per_byte)]
                ),
            ),
            "What is missing is -len(q) % per_byte, 0 for a full byte: per_byte - len(q) % "
            "per_byte gives a whole byte of zeros there.",
        ),
        Misconception(
            "fills up with ones",
            partial(
                _byte_for_byte,
                filled=lambda q, per_byte: torch.cat(
                    [q, torch.full((-len(q) % per_byte,), 15 if per_byte == 2 else 3)]
                ),
            ),
            "The last byte is filled up with zeros.",
        ),
        Misconception(
            "repeats the last code to fill up",
            partial(
                _byte_for_byte,
                filled=lambda q, per_byte: torch.cat([q, q[-1:].expand(-len(q) % per_byte)]),
            ),
            "The last byte is filled up with zeros.",
        ),
        Misconception(
            "shifts by 4 bits, however many a code has",
            partial(_byte_for_byte, moved=lambda places, bits: places * 4),
            "A code of 2 bits takes 2: shift by i * bits.",
        ),
        Misconception(
            "keeps four bits of every code",
            partial(_byte_for_byte, masked=lambda q, bits: q & 15),
            "A code of 2 bits keeps 2: q & (2**bits - 1).",
        ),
        Misconception(
            "drops the sign bit",
            partial(_byte_for_byte, masked=lambda q, bits: q & (2 ** (bits - 1) - 1)),
            "A code has `bits` bits with its sign: q & (2**bits - 1).",
        ),
        Misconception(
            "takes magnitudes",
            partial(_byte_for_byte, masked=lambda q, bits: q.abs() & (2**bits - 1)),
            "Negative codes are kept in two's complement: q & (2**bits - 1).",
        ),
        Misconception(
            "returns signed bytes",
            partial(_byte_for_byte, given=lambda packed: packed.to(torch.uint8).view(torch.int8)),
            "The bytes are uint8, from 0 to 255.",
        ),
        Misconception(
            "fills up with zeros in front",
            partial(
                _byte_for_byte,
                filled=lambda q, per_byte: torch.cat([q.new_zeros(-len(q) % per_byte), q]),
            ),
            "The first code stays in the lowest bits of the first byte: the zeros go behind the "
            "last code.",
        ),
        Misconception(
            "moves the codes by half their range",
            partial(_byte_for_byte, masked=lambda q, bits: _masked(q + 2 ** (bits - 1), bits)),
            "Codes are stored in two's complement, without an offset: q & (2**bits - 1) is all "
            "that a negative code needs.",
        ),
        Misconception(
            "moves the codes by half their range",
            partial(_byte_for_byte, masked=lambda q, bits: q + 2 ** (bits - 1)),
            "Codes are stored in two's complement, without an offset: q & (2**bits - 1) is all "
            "that a negative code needs.",
        ),
        Misconception(
            "joins the first half of the codes with the second",
            partial(_byte_for_byte, laid=lambda q, per_byte: q.reshape(per_byte, -1).t()),
            "Neighbours share a byte: reshape to [-1, 8 // bits], so that each row holds the "
            "codes of one byte.",
        ),
    ),
)
