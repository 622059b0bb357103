"""Multiply-adds against counts by hand and by a hook-free oracle; energies by the table."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from labkit.energy import (
    ADD_PJ,
    MEMORY_PJ,
    MULTIPLY_PJ,
    count_macs,
    inference_energy,
    mac_energy,
    memory_energy,
)
from labkit.formats import model_bytes


class Network(nn.Module):
    """Strides, groups, dilation, padding, a layer called twice and a batch norm."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, (3, 5), stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8)
        self.pointwise = nn.Conv2d(8, 12, 1, groups=2, bias=False)
        self.fc = nn.Linear(12, 5)
        self.drop = nn.Dropout()

    def forward(self, x):
        x = self.norm(self.stem(x))
        x = self.depthwise(F.relu(self.depthwise(x)))
        return self.drop(self.fc(self.pointwise(x).mean((2, 3))))


@pytest.mark.parametrize("shape", [(1, 3, 17, 23), (4, 3, 28, 28)])
def test_count_macs_is_half_of_torchs_flops(shape):
    model = Network().eval()
    with FlopCounterMode(display=False) as flops, torch.no_grad():
        model(torch.zeros(shape))
    assert 2 * count_macs(model, shape) == flops.get_total_flops()


def test_count_macs_by_hand():
    assert count_macs(nn.Linear(7, 11), (1, 7)) == 7 * 11
    assert count_macs(nn.Linear(7, 11), (2, 3, 7)) == 6 * 7 * 11
    assert count_macs(nn.Conv2d(4, 6, 3), (1, 4, 8, 10)) == 6 * 6 * 8 * 4 * 9
    assert count_macs(nn.Conv2d(4, 4, 3, groups=4, stride=2), (1, 4, 9, 9)) == 4 * 4 * 4 * 9
    assert count_macs(nn.Conv1d(2, 3, 5), (1, 2, 9)) == 3 * 5 * 2 * 5


def test_count_macs_leaves_the_network_as_it_was():
    model = Network().double().train()
    model.drop.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    count_macs(model, (2, 3, 9, 9))
    assert model.training
    assert model.norm.training
    assert not model.drop.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(layer._forward_hooks for layer in model.modules())


def test_count_macs_takes_its_hooks_off_after_an_error():
    model = Network()
    with pytest.raises(RuntimeError, match="channels"):
        count_macs(model, (1, 4, 9, 9))
    assert model.training
    assert not any(layer._forward_hooks for layer in model.modules())


@pytest.mark.parametrize(
    "layer", [nn.LSTM(4, 4), nn.ConvTranspose2d(2, 2, 3), nn.MultiheadAttention(4, 2)]
)
def test_count_macs_refuses_what_it_cannot_count(layer):
    with pytest.raises(ValueError, match=f"how often a {type(layer).__name__} multiplies"):
        count_macs(nn.Sequential(nn.Linear(4, 4), layer), (1, 4))


def test_count_macs_refuses_a_network_without_layers():
    with pytest.raises(ValueError, match="no Linear or Conv layer"):
        count_macs(nn.ReLU(), (1, 4))


def test_table_has_the_published_ratios():
    # The orders of magnitude that the lecture takes from the figure.
    assert MULTIPLY_PJ["fp32"] / MULTIPLY_PJ["int8"] == pytest.approx(18.5)
    assert ADD_PJ["fp32"] / ADD_PJ["int8"] == pytest.approx(30)
    assert MEMORY_PJ["dram_low"] / ADD_PJ["int32"] == pytest.approx(13_000)


def test_mac_energy_accumulates_in_32_bits():
    assert mac_energy("fp32") == pytest.approx(3.7 + 0.9)
    assert mac_energy("fp16") == pytest.approx(1.1 + 0.9)
    assert mac_energy("int8") == mac_energy("uint8") == pytest.approx(0.2 + 0.1)


def test_memory_energy_is_per_64_bits():
    assert memory_energy(8, "sram_32kb") == 20
    assert memory_energy(1) == pytest.approx(1300 / 8)
    assert memory_energy(0) == 0


def test_inference_energy_adds_compute_and_memory():
    energy = inference_energy(1000, 80, "int8", memory="dram_high")
    assert energy.compute == pytest.approx(300)
    assert energy.memory == pytest.approx(26_000)
    assert energy.total == pytest.approx(26_300)


@given(st.integers(0, 10**12), st.integers(0, 10**9), st.sampled_from(sorted(MEMORY_PJ)))
def test_int8_never_needs_more_than_fp32(macs, parameters, memory):
    def total(format):
        return inference_energy(macs, model_bytes(parameters, format), format, memory).total

    assert total("int8") <= total("fp16") <= total("fp32")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mac_energy("int4"), "no arithmetic in int4, only in int8, uint8, fp16, fp32"),
        (lambda: mac_energy("bf16"), "no arithmetic in bf16"),
        (lambda: mac_energy("float32"), "expected a Format or one of"),
        (lambda: memory_energy(8, "dram"), "'dram'; expected one of sram_8kb"),
        (lambda: memory_energy(-1), "bytes_moved is -1; expected a finite number"),
        (lambda: inference_energy(float("nan"), 1, "fp32"), "macs is nan; expected a finite"),
    ],
)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
