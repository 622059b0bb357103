"""Recording a network: one pass, every layer, and nothing left behind."""

import numpy as np
import pytest
import torch
from calibration_data import draw
from torch import nn
from torch.testing import assert_close

from labkit.calibration import (
    METHODS,
    MSE,
    Histogram,
    MovingAverage,
    calibrate,
    histogram_error,
    record,
    report,
)
from labkit.linear import Scheme, choose_qparams, from_range, quantization_error


class Network(nn.Module):
    """A layer called twice, an in-place ReLU, dropout, batch norm, and a layer never called."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU(inplace=True))
        self.shared = nn.Linear(6, 6)
        self.drop = nn.Dropout(0.5)
        self.unused = nn.Linear(6, 6)
        self.pair = Pair()

    def forward(self, x):
        x = self.body(x)
        x = self.drop(self.shared(self.shared(x)))
        return self.pair(x)[0]


class Pair(nn.Module):
    def forward(self, x):
        return x, x


USED = ["body.0", "body.1", "body.2", "shared", "drop"]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Network()


@pytest.fixture
def batches():
    return [draw("normal", 6 * n, seed=n).reshape(n, 6) for n in (5, 3, 8)]


def outputs(model, layer, batches):
    """All that a layer puts out, kept by an ordinary hook."""
    kept = []
    hook = layer.register_forward_hook(lambda _, args, output: kept.append(output.clone()))
    with torch.no_grad():
        for x in batches:
            model.eval()(x)
    hook.remove()
    return torch.cat(kept)


def assert_holds(histogram, x):
    values, counts = histogram.points()
    expected, expected_counts = np.unique(x.numpy(), return_counts=True)
    assert_close(values, expected.astype(np.float64), rtol=1e-6, atol=1e-7)
    assert histogram.total == x.numel()
    np.testing.assert_array_equal(counts.sum(), expected_counts.sum())


@pytest.mark.parametrize("layer", USED)
def test_a_histogram_holds_all_that_a_layer_puts_out(model, batches, layer):
    recorded = record(model, batches, USED)
    assert list(recorded) == USED
    expected = outputs(model, model.get_submodule(layer), batches)
    assert_holds(recorded[layer], expected)


def test_inputs_can_be_recorded_instead(model, batches):
    recorded = record(model, batches, ["body.0", "body.1"], inputs=True)
    assert_holds(recorded["body.0"], torch.cat(batches))
    assert_holds(recorded["body.1"], outputs(model, model.body[0], batches))


def test_all_layers_are_recorded_by_default(batches):
    model = nn.Sequential(nn.Linear(6, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 2)))
    assert list(record(model, batches)) == ["0", "1.0", "1.1"]
    assert list(record(nn.Linear(6, 4), batches)) == [""]


def test_observers_see_batch_after_batch(model, batches):
    observers = {"shared": MSE(axis=-1), "body.2": MovingAverage(0.5)}
    calibrate(model, batches, observers)
    expected = MovingAverage(0.5)
    for x in batches:
        expected.observe(outputs(model, model.body[2], [x]))
    assert observers["body.2"].range(Scheme()) == pytest.approx(expected.range(Scheme()))
    assert observers["shared"].range(Scheme())[0].shape == (6,)


def test_batches_may_be_pairs_and_come_from_a_generator(model, batches):
    labelled = ([x, torch.zeros(len(x))] for x in batches)
    recorded = record(model, labelled, ["body.0"], inputs=True)
    assert_holds(recorded["body.0"], torch.cat(batches))


def test_the_model_is_left_as_it_was(model, batches):
    model.train()
    model.body[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    record(model, batches, USED)
    assert_left_alone(model, before)


def assert_left_alone(model, before):
    assert [m.training for m in (model, model.body[0], model.body[1])] == [True, True, False]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("inputs", [False, True])
@pytest.mark.parametrize(
    ("layers", "batch", "error", "message"),
    [
        (["body.O"], torch.ones(2, 6), ValueError, r"no layer 'body.O'; .* 'body.0'"),
        (["shared", "unused"], torch.ones(2, 6), ValueError, "never calls 'unused'"),
        (["shared"], torch.ones(2, 7), RuntimeError, "shapes"),
        (["body.0"], torch.full((2, 6), torch.nan), ValueError, "layer 'body.0': x has 12 of 12"),
    ],
)
def test_the_model_is_left_as_it_was_after_an_error(model, inputs, layers, batch, error, message):
    model.train()
    model.body[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(error, match=message):
        record(model, [batch], layers, inputs)
    assert_left_alone(model, before)


def test_what_is_no_tensor_is_refused_by_layer(model, batches):
    with pytest.raises(TypeError, match="the output of layer 'pair': x is of type tuple"):
        record(model, batches, ["pair"])


def test_no_batches_are_refused(model):
    with pytest.raises(ValueError, match="batches is empty"):
        record(model, [], ["shared"])


def test_a_progress_bar_shows_only_when_asked_for(model, batches, capsys):
    record(model, batches, ["shared"])
    assert capsys.readouterr() == ("", "")
    record(model, batches, ["shared"], progress=True)
    assert "3/3" in capsys.readouterr().out


@pytest.mark.parametrize("scheme", [Scheme(), Scheme(4, symmetric=True), Scheme(3, signed=False)])
@pytest.mark.parametrize("kind", ["normal", "relu", "two values", "all zero", "far from zero"])
def test_the_error_of_a_histogram_is_that_of_its_values(kind, scheme):
    x = draw(kind, 1000)
    histogram = Histogram()
    histogram.observe(x)
    for qparams in (choose_qparams(x, scheme), from_range(-0.5, 1.5, scheme)):
        found, expected = histogram_error(histogram, qparams), quantization_error(x, qparams)
        assert vars(found) == pytest.approx(vars(expected), rel=1e-9, abs=1e-15)


def test_a_report_has_a_row_for_each_layer_and_method(model, batches):
    recorded = record(model, batches, ["shared", "body.2"])
    rows = report(recorded, Scheme(4))
    assert [(row.layer, row.method) for row in rows] == [
        (layer, method) for layer in ("shared", "body.2") for method in METHODS
    ]
    for row in rows:
        low, high = METHODS[row.method](recorded[row.layer], Scheme(4))
        assert (row.rmin, row.rmax) == (low, high)
        x = outputs(model, model.get_submodule(row.layer), batches)
        expected = quantization_error(x, from_range(low, high, Scheme(4)))
        assert row.clipped_fraction == pytest.approx(expected.clipped_fraction)
        assert row.sqnr == pytest.approx(expected.sqnr, abs=0.01)
    best = max(rows[:4], key=lambda row: row.sqnr)
    assert best.method == "mse"


def test_a_report_takes_any_method(model, batches):
    recorded = record(model, batches, ["shared"])
    (row,) = report(recorded, Scheme(), {"mine": lambda histogram, scheme: (-1.0, 1.0)})
    assert row[:4] == ("shared", "mine", -1.0, 1.0)


class WithHead(nn.Sequential):
    def forward(self, x):
        return self[0](x)  # self[1] is for training only


class Indexed(nn.Module):
    """Puts out whole numbers in one layer, and real ones in the next."""

    def __init__(self):
        super().__init__()
        self.largest, self.table = Largest(), nn.Embedding(12, 3)

    def forward(self, x):
        return self.table(self.largest(x))


class Largest(nn.Module):
    def forward(self, x):
        return x.argmax(-1)


@pytest.mark.parametrize(
    ("network", "layers"),
    [
        (nn.TransformerEncoderLayer(12, 2, 16, batch_first=True), {"self_attn", "linear1"}),
        (nn.MultiheadAttention(12, 2, batch_first=True), {""}),
        (WithHead(nn.Linear(12, 8), nn.Linear(12, 3)), {"0"}),
        (nn.LSTM(12, 8, batch_first=True), {""}),
        (nn.GRU(12, 8, batch_first=True), {""}),
        (Indexed(), {"table"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_by_default_what_puts_out_numbers_is_recorded(network, layers):
    if isinstance(network, nn.MultiheadAttention):
        network.forward = lambda x, forward=network.forward: forward(x, x, x)
    recorded = record(network, [torch.randn(4, 5, 12)])
    assert layers <= set(recorded)
    assert not any("out_proj" in name or name == "1" for name in recorded)
    assert all(histogram.total > 0 for histogram in recorded.values())


def test_a_network_without_real_numbers_is_refused():
    with pytest.raises(ValueError, match="no layer puts out a tensor of real numbers"):
        record(Largest(), [torch.randn(4, 5)])
