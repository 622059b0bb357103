"""What a chip would take: counted exactly, and timed as the networks that were measured."""

import pytest
import torch
from device_networks import integer_network

from labkit.device import CHIPS, Chip, chip_of, estimate, layer_costs, tight_arena
from labkit.device.chips import MOBILENET_MACS, RESNET8_MACS
from labkit.device.lifetimes import lifetimes_of
from labkit.energy import count_macs
from labkit.qparams import Scheme
from labkit.zoo import load_model


@pytest.mark.parametrize("chip", CHIPS.values(), ids=CHIPS)
def test_cycles_give_back_the_times_that_were_measured(chip):
    depthwise, others = MOBILENET_MACS
    cycles = depthwise * chip.cycles_per_depthwise_mac + others * chip.cycles_per_mac
    assert cycles / chip.hertz == pytest.approx(1 / chip.mobilenet.inferences_per_second)
    seconds = sum(RESNET8_MACS) * chip.cycles_per_mac / chip.hertz
    assert seconds == pytest.approx(1 / chip.resnet8.inferences_per_second)
    assert seconds * chip.watts == pytest.approx(1e-6 * chip.resnet8.microjoules, rel=0.05)


def test_faster_cores_take_fewer_cycles():
    m4, m33, m7 = (chip.cycles_per_mac for chip in CHIPS.values())
    assert 1 < m7 < m33 < m4 < 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet", "mobilenet"])
def test_multiply_adds_and_bytes_are_counted(name):
    model = integer_network(name)
    found = estimate(model, "STM32L4R5ZI")
    layers = layer_costs(model, "STM32L4R5ZI")
    assert found.macs == count_macs(load_model(name), (1, 1, 28, 28))
    weights = sum(w.q_w.numel() for w in model.weights.values())
    assert sum(layer.weight_bytes for layer in layers) == weights
    assert weights < found.flash < 1.15 * weights
    assert found.ram == tight_arena(lifetimes_of(model)).size
    assert found.fits
    assert found.joules == pytest.approx(found.seconds * found.chip.watts)
    assert "estimated" in str(found)
    assert "0.003 million multiply-adds, 0.002 ms" in str(
        found._replace(macs=2800, seconds=2e-6, joules=0.1)
    )
    assert [layer.depthwise for layer in layers[1:3]] == (
        [True, False] if name == "mobilenet" else [False, False]
    )


def test_small_codes_take_few_bytes():
    model = integer_network("mobilenet", weight_scheme=Scheme(3, symmetric=True))
    bytes_of = {layer.name: layer.weight_bytes for layer in layer_costs(model, "STM32L4R5ZI")}
    step = next(s for s in model.steps if s.name == "blocks_3_5")
    assert bytes_of["blocks_3_5"] == model.weights[step.layer].q_w.numel() / 2


def test_a_slow_flash_makes_a_layer_wait():
    chip = CHIPS["STM32L4R5ZI"]
    slow = chip._replace(wait_states=99)
    fast, waiting = (layer_costs(integer_network("resnet"), c)[-1] for c in (chip, slow))
    assert not fast.memory_bound
    assert waiting.memory_bound
    assert waiting.cycles == pytest.approx(waiting.weight_bytes * 100 / chip.flash_bytes)
    assert fast.cycles == pytest.approx(fast.macs * chip.cycles_per_mac)


def test_chips_and_networks_that_are_none_are_refused():
    with pytest.raises(ValueError, match="STM32L4R5ZI"):
        chip_of("STM32")
    with pytest.raises(TypeError, match="expected Chip"):
        chip_of(3)
    assert isinstance(chip_of("STM32H7A3ZI"), Chip)
    with pytest.raises(TypeError, match="QuantizedModel"):
        estimate(torch.nn.ReLU(), "STM32H7A3ZI")
