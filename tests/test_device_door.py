"""Bytes in, a class out: the same codes as the network's own door, the same class as its logits."""

import pytest
import torch

from labkit import zoo
from labkit.device import activation_table, enter, input_table, read_out
from labkit.linear import choose_qparams, dequantize, quantize
from labkit.qparams import QParams, Scheme

GRID = QParams(torch.tensor(0.02), torch.tensor(121), Scheme(8, signed=False))
SIGNED = QParams(torch.tensor(0.031), torch.tensor(-7), Scheme(8))


@pytest.mark.parametrize("scheme", [Scheme(8, signed=False), Scheme(8), Scheme(4, signed=False)])
def test_the_table_is_the_networks_own_door(scheme):
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    images = zoo.normalize(pixels.numpy())
    qparams = choose_qparams(images, scheme)
    table = input_table(zoo.MEAN, zoo.STD, qparams)
    assert table.shape == (1, 256)
    assert table.dtype == scheme.dtype
    assert torch.equal(table.flatten(), quantize(images, qparams).flatten())
    assert torch.equal(enter(pixels.unsqueeze(0), table), quantize(images, qparams))


def test_each_channel_has_its_own_table():
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    table = input_table(mean, std, GRID)
    pixels = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8)
    real = torch.stack([(pixels[:, c] / 255 - mean[c]) / std[c] for c in range(3)], 1)
    assert torch.equal(enter(pixels, table), quantize(real, GRID))


def test_a_door_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="one positive std for each mean"):
        input_table([0.5, 0.5], [0.5], GRID)
    with pytest.raises(ValueError, match="one positive std for each mean"):
        input_table(0.5, 0.0, GRID)
    with pytest.raises(ValueError, match="per channel"):
        input_table(0.5, 0.5, choose_qparams(torch.randn(2, 3), Scheme(8), axis=0))
    with pytest.raises(TypeError, match="expected QParams"):
        input_table(0.5, 0.5, 0.1)
    table = input_table(0.5, 0.5, GRID)
    with pytest.raises(TypeError, match="not scaled and not normalized"):
        enter(torch.zeros(1, 1, 2, 2, dtype=torch.int32), table)
    with pytest.raises(ValueError, match=r"\[C, 256\]"):
        enter(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), table)


def test_class_and_margin_are_those_of_the_logits():
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        codes = torch.randint(-128, 128, (10,), generator=generator, dtype=torch.int8)
        logits = dequantize(codes, SIGNED)
        answer = read_out(codes, 10)
        assert answer.classes[0] == logits.argmax()
        assert torch.equal(logits[answer.classes], logits.sort(descending=True).values)
        top = logits.topk(2).values
        assert answer.margin == round(float((top[0] - top[1]) / SIGNED.scale))


def test_of_equal_codes_the_lower_class_comes_first():
    answer = read_out(torch.tensor([3, 200, 7, 200, 7], dtype=torch.uint8), 4)
    assert answer.classes.tolist() == [1, 3, 2, 4]
    assert answer.margin == 0


def test_a_margin_may_be_wider_than_a_byte():
    assert read_out(torch.tensor([-128, 127], dtype=torch.int8), 1).margin == 255
    assert read_out(torch.tensor([0, 255], dtype=torch.uint8), 1).margin == 255


@pytest.mark.parametrize(("shape", "k"), [((1,), 1), ((2, 3), 1), ((4,), 5), ((4,), 0)])
def test_codes_that_give_no_answer_are_refused(shape, k):
    with pytest.raises(ValueError, match="expected the codes of one image"):
        read_out(torch.zeros(shape, dtype=torch.uint8), k)


@pytest.mark.parametrize("x", [GRID, SIGNED])
@pytest.mark.parametrize("function", [torch.sigmoid, torch.nn.functional.silu, torch.log])
def test_a_table_is_the_function_of_each_code(x, function):
    table = activation_table(function, x, SIGNED)
    assert table.shape == (256,)
    assert table.dtype == torch.int8
    for code in (x.scheme.qmin, int(x.zero_point), x.scheme.qmax):
        real = function(torch.tensor((code - int(x.zero_point)) * float(x.scale)).double())
        step = torch.round(real / float(SIGNED.scale)) + int(SIGNED.zero_point)
        wanted = int(SIGNED.zero_point) if real.isnan() else int(step.clamp(-128, 127))
        assert table[code - x.scheme.qmin] == wanted


def test_tables_that_cannot_be_are_refused():
    wide = QParams(torch.tensor(0.1), torch.tensor(0), Scheme(16))
    with pytest.raises(ValueError, match="at most 8 bits"):
        activation_table(torch.relu, wide, GRID)
    with pytest.raises(ValueError, match="each number on its own"):
        activation_table(torch.sum, GRID, GRID)
