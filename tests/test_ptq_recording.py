"""What is recorded gives the integers of the run in Python, and is used only where it may be."""

import copy
import pickle

import pytest
import torch
from other_networks import network, pictures
from torch import nn

from labkit.ptq import quantize_model, recording
from labkit.qparams import Scheme

pytestmark = pytest.mark.slow

SCHEMES = {
    "W8A8": {},
    "7 bits": {"activation_scheme": "fast"},
    "signed": {"activation_scheme": Scheme(8)},
}


class Two(nn.Module):
    """Two inputs, a residual, a table, a pooling."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Linear(8, 4)

    def forward(self, x, y):
        a = self.first(x).relu() + self.first(y).sigmoid()
        return self.last((self.second(a) + a).relu().mean((2, 3)))


def quantized(name="MobileNetV2", **settings):
    settings = {"observer": "minmax", "weight_method": "minmax"} | settings
    return quantize_model(network(name), [pictures(4)], **settings)


@pytest.fixture
def always(monkeypatch):
    """Whatever is right counts as quicker, and no run as too long: time decides nothing here."""
    monkeypatch.setattr(recording, "quicker", lambda *_: True)
    monkeypatch.setattr(recording, "LONGEST", float("inf"))
    monkeypatch.setattr(recording, "AFTER", 2)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet-18", "functional"])
def test_a_program_gives_the_same_numbers(name, scheme):
    model = quantized(name, **SCHEMES[scheme])
    for images in (pictures(1), pictures(3)):
        program = recording.recorded(model._logits, [images])
        for other in (images, -images, images.flip(3), 100 * images):
            assert program(other.contiguous()).equal(model._logits(other.contiguous()))


def programs(repeater):
    """How many programs there are, and for how many sizes one was looked for."""
    found = repeater._programs.values()
    return sum(program is not None for program in found), len(found)


def test_the_first_sizes_that_keep_coming_are_recorded(always, monkeypatch):
    monkeypatch.setattr(recording, "SIZES", 3)  # two, and that of the conversion's own try
    model = quantized()
    plain = quantized()._logits
    for seed, count in enumerate((1, 3, 1, 5, 5, 3, 2, 1, 3, 5)):
        images = pictures(count, seed=seed)
        assert model(images).equal(plain(images))
    assert programs(model._repeater) == (3, 3)
    assert model(pictures(1).double()).equal(plain(pictures(1).double()))
    with torch.enable_grad():
        assert not model(pictures(1).requires_grad_()).requires_grad


def test_two_inputs(always):
    torch.manual_seed(0)
    batches = [(pictures(4), pictures(4, seed=2))]
    model = quantize_model(Two().eval(), batches)
    for seed in range(4):
        pair = pictures(1, seed=seed), pictures(1, seed=9 + seed)
        assert model(*pair).equal(model._logits(*pair))
    assert programs(model._repeater) == (1, 1)
    with pytest.raises(TypeError, match=r"1 inputs; expected x, y\."):
        model(pictures(1))


def test_what_is_no_number_is_refused_after_it_too(always):
    model, images = quantized(), pictures(1)
    for _ in range(3):
        model(images)
    images[0, 0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="NaN and infinity"):
        model(images)


def test_a_copy_starts_anew(always):
    model, images = quantized(), pictures(1)
    for _ in range(3):
        expected = model(images)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert programs(other._repeater) == (0, 0)
        assert other(images).equal(expected)


@pytest.mark.parametrize(
    "run",
    [
        lambda x: x * x.max().item(),
        lambda x: x[x > 0],
        lambda x: x + torch.rand(3),
        lambda x: (x, x),
    ],
)
def test_what_depends_on_values_is_not_recorded(always, run):
    repeater = recording.Repeater()
    for x in (torch.ones(3), 2 * torch.ones(3), torch.tensor([1.0, -1.0, 3.0])):
        torch.manual_seed(0)
        found = repeater(run, [x])
        torch.manual_seed(0)
        expected = run(x)
        assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
    assert programs(repeater) == (0, 1)


def test_a_program_that_errs_or_is_slower_is_let_go(always, monkeypatch):
    repeater, x = recording.Repeater(), torch.ones(3)
    right = recording.recorded
    monkeypatch.setattr(recording, "recorded", lambda run, _: right(lambda x: x + 1, [x]))
    for _ in range(3):
        assert repeater(torch.neg, [x]).equal(-x)
    assert programs(repeater) == (0, 1)
    monkeypatch.undo()
    monkeypatch.setattr(recording, "AFTER", 2)
    monkeypatch.setattr(recording, "quicker", lambda *_: False)
    repeater = recording.Repeater()
    for _ in range(3):
        assert repeater(torch.neg, [x]).equal(-x)
    assert programs(repeater) == (0, 1)


def test_what_was_overwritten_is_read_again():
    def run(x):
        wrapped = torch._make_per_tensor_quantized_tensor(x, 1.0, 0)
        codes = torch.empty(0, dtype=torch.uint8)
        codes.set_(wrapped.untyped_storage(), 0, wrapped.shape, wrapped.stride())
        again = torch._make_per_tensor_quantized_tensor(codes.clamp_(max=3), 1.0, 0)
        other = torch._make_per_tensor_quantized_tensor(codes, 1.0, 2)
        return again.int_repr() + other.dequantize().to(torch.uint8)

    x = torch.arange(2, 9, dtype=torch.uint8)
    assert recording.recorded(run, [x])(x).equal(run(x))


def test_bytes_that_do_not_lie_side_by_side_are_refused():
    def run(x):
        wrapped = torch._make_per_tensor_quantized_tensor(x, 1.0, 0).transpose(0, 1)
        codes = torch.empty(0, dtype=torch.uint8)
        return codes.set_(wrapped.untyped_storage(), 0, wrapped.shape, wrapped.stride()) + 1

    x = torch.arange(6, dtype=torch.uint8).reshape(2, 3)
    with pytest.raises(recording.Unrepeatable, match="side by side"):
        recording.recorded(run, [x])


def test_a_result_stays_when_the_program_runs_again():
    model = quantized("ResNet-18")
    images = pictures(1)
    model(images)
    program = recording.recorded(model._logits, [images])
    assert "int_repr" not in str(program.graph)  # which would copy the codes
    first = program(images)
    before = first.clone()
    assert program(-images).equal(model._logits(-images))
    assert first.equal(before)
