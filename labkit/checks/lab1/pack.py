"""Exercise 1.10: pack codes in bytes."""

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


def _first_code_high(q: Tensor, bits: int) -> Tensor:
    per_byte = 8 // bits
    fields = torch.zeros(-(-len(q) // per_byte) * per_byte, dtype=torch.int32)
    fields[: len(q)] = q.to(torch.int32)
    return pack(fields.reshape(-1, per_byte).flip(1).flatten(), bits)


def _no_mask(q: Tensor, bits: int) -> Tensor:
    per_byte = 8 // bits
    fields = torch.zeros(-(-len(q) // per_byte) * per_byte, dtype=torch.int32)
    fields[: len(q)] = q.to(torch.int32)
    total = (fields.reshape(-1, per_byte) << torch.arange(per_byte) * bits).sum(dim=1)
    return (total & 255).to(torch.uint8)


def _or_without_mask(q: Tensor, bits: int) -> Tensor:
    per_byte = 8 // bits
    fields = torch.zeros(-(-len(q) // per_byte) * per_byte, dtype=torch.int32)
    fields[: len(q)] = q.to(torch.int32)
    columns = (fields.reshape(-1, per_byte) << torch.arange(per_byte) * bits).unbind(1)
    total = columns[0]
    for column in columns[1:]:
        total = total | column
    return (total & 255).to(torch.uint8)


def _drops_last_byte(q: Tensor, bits: int) -> Tensor:
    per_byte = 8 // bits
    return (
        pack(q[: len(q) // per_byte * per_byte], bits) if len(q) >= per_byte else pack(q[:0], bits)
    )


def _filled_in_front(q: Tensor, bits: int) -> Tensor:
    rest = -len(q) % (8 // bits)
    return pack(torch.cat([torch.zeros(rest, dtype=q.dtype), q]), bits)


def _halves_joined(q: Tensor, bits: int) -> Tensor:
    filled = torch.cat([q, q.new_zeros(-len(q) % (8 // bits))])
    return pack(filled.reshape(8 // bits, -1).t().flatten(), bits)


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
            _first_code_high,
            "Here the first code lies lowest, as in ONNX's INT4 tensors.",
        ),
        Misconception(
            "adds negative codes without masking them",
            _no_mask,
            "A negative code's sign bits run over into its neighbours: keep q & (2**bits - 1).",
        ),
        Misconception(
            "joins negative codes without masking them",
            _or_without_mask,
            "A negative code's sign bits run over into its neighbours: keep q & (2**bits - 1).",
        ),
        Misconception(
            "loses the last codes when they do not fill a byte",
            _drops_last_byte,
            "Fill the last byte up with zeros.",
        ),
        Misconception(
            "fills up with zeros in front",
            _filled_in_front,
            "The first code stays in the lowest bits of the first byte: the zeros go behind the "
            "last code.",
        ),
        Misconception(
            "moves the codes by half their range",
            lambda q, bits: pack(q.to(torch.int32) + 2 ** (bits - 1), bits),
            "Codes are stored in two's complement, without an offset: q & (2**bits - 1) is all "
            "that a negative code needs.",
        ),
        Misconception(
            "moves the codes by half their range",
            lambda q, bits: _no_mask(q.to(torch.int32) + 2 ** (bits - 1), bits),
            "Codes are stored in two's complement, without an offset: q & (2**bits - 1) is all "
            "that a negative code needs.",
        ),
        Misconception(
            "joins the first half of the codes with the second",
            lambda q, bits: pack(
                torch.cat([q, q.new_zeros(-len(q) % (8 // bits))])
                .reshape(8 // bits, -1)
                .t()
                .flatten(),
                bits,
            ),
            "Neighbours share a byte: reshape to [-1, 8 // bits], so that each row holds the "
            "codes of one byte.",
        ),
    ),
)
