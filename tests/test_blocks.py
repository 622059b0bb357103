"""Block formats: the bytes of the package gguf, the elements of ml_dtypes and torch."""

import warnings

import gguf
import ml_dtypes
import numpy as np
import pytest
import torch

from labkit.blocks import (
    BLOCK_FORMATS,
    E2M1,
    SYMMETRIC_SCALES,
    BlockTensor,
    Codes,
    Trits,
    decode,
    double_quantize,
    encode,
    find_block_format,
    nf4_double_quantized,
    symmetric_round_trip,
    symmetric_scale,
    tensor_scale,
)
from labkit.codebooks import normal_float

LIKE_GGUF = ("q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "tq1_0", "tq2_0", "mxfp4")
BITS_PER_WEIGHT = {
    "q8_0": 8.5,
    "q4_0": 4.5,
    "q4_1": 5,
    "q5_0": 5.5,
    "q5_1": 6,
    "tq1_0": 1.6875,
    "tq2_0": 2.0625,
    "mxfp4": 4.25,
    "mxfp8": 8.25,
    "nvfp4": 4.5,
    "nf4": 4.5,
}


def drawn(rows: int = 200) -> dict[str, torch.Tensor]:
    """Values by what is special about their blocks, [rows, 512]."""
    x = torch.randn(rows, 512, generator=torch.Generator().manual_seed(5))
    outlier, negative = x.clone(), x / 10
    outlier[:, 7::64], negative[:, 3::32] = 1000.0, -5.0
    return {
        "random": x,
        "constant": x[:, :1].expand(-1, 512).contiguous(),
        "all zero": torch.zeros(2, 512),
        "huge": x * 1e5,
        "beyond the scale": x * 1e30,
        "tiny": x * 1e-30,
        "one outlier": outlier,
        "negative extreme": negative,
        "whole numbers, with ties": (4 * x).round() / 2,
        "all bits": torch.exp2(20 * x),
    }


def differing(a: np.ndarray, b: np.ndarray) -> int:
    return int((~((a == b) | (np.isnan(a) & np.isnan(b)))).sum())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", LIKE_GGUF)
@pytest.mark.parametrize("kind", drawn(1))
def test_the_bytes_and_values_are_those_of_gguf(name: str, kind: str) -> None:
    """Over all kinds, a million values a format."""
    x, type_ = drawn()[kind], gguf.GGMLQuantizationType[name.upper()]
    data, theirs = encode(x, name), gguf.quantize(x.numpy(), type_)
    assert differing(data.flatten(1).numpy(), theirs) == 0
    assert differing(decode(data, name).numpy(), gguf.dequantize(theirs, type_)) == 0


@pytest.mark.parametrize("name", ["nvfp4", *LIKE_GGUF])
def test_bytes_from_elsewhere_are_read_as_gguf_reads_them(name: str) -> None:
    format, rng = BLOCK_FORMATS[name], np.random.default_rng(0)
    data = torch.from_numpy(rng.integers(0, 127, (300, 1, format.bytes), dtype=np.uint8))
    numbers = [value for key, value in format.unpack(data).items() if key != "codes"]
    data = data[torch.cat(numbers, -1).isfinite().all(-1).squeeze(-1)]
    assert len(data) > 200
    theirs = gguf.dequantize(data.flatten(1).numpy(), gguf.GGMLQuantizationType[name.upper()])
    assert differing(decode(data, name).numpy(), theirs) == 0


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_bits_per_weight_follow_from_the_fields(name: str) -> None:
    format = BLOCK_FORMATS[name]
    assert format.bits_per_weight == BITS_PER_WEIGHT[name]
    assert format.code_bits < format.bits_per_weight
    data = encode(torch.ones(3, 2 * format.block_size), name)
    assert data.shape == (3, 2, format.bytes)
    assert 8 * data.numel() / (3 * 2 * format.block_size) == format.bits_per_weight


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_packing_loses_nothing(name: str) -> None:
    format, g = BLOCK_FORMATS[name], torch.Generator().manual_seed(1)
    codes = torch.randint(0, 3 if name == "tq1_0" else len(format.levels), (7, format.block_size))
    parts = {"codes": codes.to(torch.uint8)}
    for field in format.fields:
        if not isinstance(field, Codes):
            exponents = torch.randint(-5, 8, (7, field.count), generator=g)
            parts[field.name] = torch.exp2(exponents.float())
    again = format.unpack(format.pack(parts))
    assert again.keys() == parts.keys()
    assert all(torch.equal(again[key], parts[key]) for key in parts)


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_what_is_decoded_is_encoded_to_the_same_values(name: str) -> None:
    x = decode(encode(drawn()["random"], name), name)
    if name not in ("q4_1", "q5_1", "q5_0", "q4_0"):  # whose scale in fp16 gives another extreme
        assert torch.equal(decode(encode(x, name), name), x)


def test_elements_of_four_bits_are_those_of_ml_dtypes_and_lie_as_torch_has_them() -> None:
    patterns = np.arange(16, dtype=np.uint8)
    theirs = patterns.view(ml_dtypes.float4_e2m1fn).astype(np.float32)
    levels = np.array(BLOCK_FORMATS["mxfp4"].levels, dtype=np.float32)
    assert np.array_equal(levels, theirs)
    assert E2M1 == (0, 0.5, 1, 1.5, 2, 3, 4, 6)
    # One byte of torch's dtype holds two: its size is that of our codes.
    assert torch.float4_e2m1fn_x2.itemsize * 2 == 2 * BLOCK_FORMATS["nvfp4"].code_bits / 4


def test_elements_of_eight_bits_are_those_of_ml_dtypes() -> None:
    x = drawn()["random"]
    data = encode(x, "mxfp8")
    scale = torch.from_numpy(
        data[..., :1].numpy().view(ml_dtypes.float8_e8m0fnu).astype(np.float32)
    )
    ratio = x.unflatten(-1, (-1, 32)) / scale
    theirs = ratio.clamp(-448, 448).numpy().astype(ml_dtypes.float8_e4m3fn)
    assert np.array_equal(data[..., 1:].numpy(), theirs.view(np.uint8))


@pytest.mark.parametrize("name", ["mxfp4", "mxfp8"])
def test_shared_exponents_are_those_of_torch(name: str) -> None:
    x = drawn()["all bits"]
    data = encode(x, name)
    largest = x.unflatten(-1, (-1, 32)).abs().amax(-1)
    wanted = torch.exp2(torch.floor(torch.log2(largest)) - (2 if name == "mxfp4" else 8))
    stored = data[..., 0].contiguous().view(torch.float8_e8m0fnu).float()
    assert torch.equal(stored, wanted.clamp(min=2.0**-127))
    assert torch.equal(BLOCK_FORMATS[name].unpack(data)["scale"].squeeze(-1), stored)


def test_the_smallest_exponent_is_0_and_does_not_wrap_around() -> None:
    x = torch.zeros(1, 32)
    x[0, 0] = 2.0**-126
    data = encode(x, "mxfp4")
    assert int(data[0, 0, 0]) == 0
    assert torch.equal(decode(data, "mxfp4"), x)


def test_nvfp4_scales_are_the_largest_value_over_six_in_e4m3() -> None:
    x = drawn()["random"]
    scales = BLOCK_FORMATS["nvfp4"].unpack(encode(x, "nvfp4"))["scale"]
    largest = x.unflatten(-1, (-1, 4, 16)).abs().amax(-1)
    theirs = (largest / 6).numpy().astype(ml_dtypes.float8_e4m3fn).astype(np.float32)
    assert np.array_equal(scales.numpy(), theirs)


def test_a_scale_of_the_whole_tensor_saves_small_weights_in_nvfp4() -> None:
    x = drawn()["random"] * 1e-4
    alone = decode(encode(x, "nvfp4"), "nvfp4")
    scale = tensor_scale(x)
    together = scale * decode(encode(x / scale, "nvfp4"), "nvfp4")
    assert scale == pytest.approx(float(x.abs().max()) / 2688)
    assert (together - x).square().sum() < (alone - x).square().sum() / 20
    assert tensor_scale(torch.zeros(3)) == 1.0


def test_the_first_of_two_nf4_codes_lies_in_the_high_bits() -> None:
    x = torch.zeros(64)
    x[0], x[1] = 1.0, -1.0
    data = encode(x, "nf4")
    assert data[0, :4].view(torch.float32).item() == 1.0
    assert data[0, 4:6].tolist() == [0xF0, 0x77]
    assert torch.equal(decode(data, "nf4"), x)
    assert BLOCK_FORMATS["nf4"].levels == tuple(normal_float(4).tolist())


def test_a_byte_of_trits_needs_no_division() -> None:
    field = Trits(5)
    every = torch.cartesian_prod(*[torch.arange(3)] * 5)
    data = field.pack(every)
    assert len(data.unique()) == 3**5
    assert torch.equal(field.unpack(data), every.to(torch.uint8))


@pytest.mark.parametrize("name", BLOCK_FORMATS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinity_are_refused(name: str, value: float) -> None:
    x = torch.ones(512)
    x[300] = value
    with pytest.raises(ValueError, match=r"x has 1 of 512 values wrong, the first x\[300\]"):
        encode(x, name)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 32, the block size of q4_0"):
        encode(torch.ones(33), "q4_0")
    with pytest.raises(ValueError, match="format is 'q9'; expected a BlockFormat or one of q8_0"):
        encode(torch.ones(32), "q9")
    with pytest.raises(TypeError, match="x has dtype int64; expected a floating-point tensor"):
        encode(torch.ones(32, dtype=torch.int64), "q4_0")
    with pytest.raises(ValueError, match="expected finite numbers that float32 can hold"):
        encode(torch.full((32,), 1e300, dtype=torch.float64), "q4_0")
    with pytest.raises(ValueError, match=r"expected \[..., blocks, 18\]"):
        decode(torch.zeros(2, 17, dtype=torch.uint8), "q4_0")
    with pytest.raises(TypeError, match="data has dtype float32; expected uint8"):
        decode(torch.zeros(2, 18), "q4_0")
    assert find_block_format(BLOCK_FORMATS["nf4"]) is BLOCK_FORMATS["nf4"]


def test_a_scale_that_cannot_be_stored_is_said() -> None:
    with pytest.warns(RuntimeWarning, match="1 of 2 blocks have a scale beyond what q8_0"):
        encode(torch.tensor([[1.0] * 32, [1e9] * 32]), "q8_0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encode(torch.full((32,), 1e38), "mxfp4")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_dtypes_are_computed_in_float32(dtype: torch.dtype) -> None:
    x = drawn()["random"].to(dtype)
    assert torch.equal(encode(x, "q4_1"), encode(x.float(), "q4_1"))


def test_tensors_of_any_shape_are_filled_up() -> None:
    x = torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    stored = BlockTensor.of(x, "q8_0")
    assert stored.decode().shape == x.shape
    assert (stored.decode() - x).abs().max() < 0.02
    assert stored.bits_per_weight == 5 * 34 * 8 / 135
    rows = BlockTensor.of(torch.ones(4, 64), "q4_0")
    assert rows.data.shape == (4, 2, 18)
    assert rows.bits_per_weight == 4.5


def test_double_quantization_saves_most_of_the_scales() -> None:
    x = torch.randn(300, 64, generator=torch.Generator().manual_seed(0))
    values, bits = nf4_double_quantized(x)
    plain = BlockTensor.of(x, "nf4").decode()
    assert 4.12 < bits < 4.15
    errors = [float((v - x).square().mean()) for v in (values, plain)]
    assert errors[0] == pytest.approx(errors[1], rel=0.02)
    same = double_quantize(torch.full((300,), 0.25))
    assert torch.equal(same.decode(), torch.full((300,), 0.25))


@pytest.mark.parametrize("name", SYMMETRIC_SCALES)
def test_four_scales_under_one_name(name: str) -> None:
    x = torch.tensor([[-4.0, 1.0, 2.0], [3.0, 6.0, 0.0], [0.0, 0.0, 0.0]])
    wanted = {
        "narrow": [4 / 7, 6 / 7, 1],
        "half": [4 / 7.5, 6 / 7.5, 1],
        "signed extreme": [4 / 8, -6 / 8, 1],
        "range": [6 / 16, 6 / 16, 1],
    }[name]
    assert symmetric_scale(x, name, 4).flatten().tolist() == pytest.approx(wanted)
    back = symmetric_round_trip(x, name, 4)
    assert torch.equal(back[2], x[2])
    # Only the range of both ends together can clip far more than half a step.
    assert ((back - x).abs().max() > 1) == (name == "range")


def test_unknown_symmetric_scales_are_refused() -> None:
    with pytest.raises(ValueError, match="name is 'max'; expected one of narrow, half"):
        symmetric_scale(torch.ones(2), "max")
    with pytest.raises(ValueError, match="bits is 1; expected 2 or more"):
        symmetric_scale(torch.ones(2), "half", 1)
