"""What the notebooks of one run share: nothing that differs in anything, and what is pure."""

import copy
from pathlib import Path

import pytest
import torch
from shared_results import contents, shared_accuracy, shared_fine_tuning, shared_training
from torch import Tensor, nn

from labkit import codebooks, qat, zoo
from labkit.linear import Scheme

CELL = """
import torch
from torch import nn

scale = {scale}

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(784, 10), nn.ReLU(inplace={inplace}))

    def forward(self, x):
        return {factor} * super().forward(x)

def hooked(limit):
    def hook(layer, inputs, output):
        return output.clamp(max=limit) / scale

    return hook

torch.manual_seed(0)
model = Net().eval()
for _ in range({before}):
    model[1].register_forward_hook(hooked(0.0)).remove()
model[1].register_forward_hook(hooked({limit}))
"""
SETTINGS = {"scale": 2.0, "inplace": True, "factor": 3, "limit": 0.5, "before": 0}


def made(**settings: object) -> nn.Module:
    """Return a network as a cell of a notebook makes it."""
    names = {"__name__": "__main__"}
    exec(CELL.format(**SETTINGS | settings), names)
    return names["model"]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHARED_RESULTS", str(tmp_path))


@pytest.fixture
def images() -> tuple[Tensor, Tensor]:
    pictures, labels = zoo.load_data("fashion_mnist", "test")
    return pictures[:40], labels[:40]


def test_what_two_notebooks_make_alike_is_the_same() -> None:
    assert contents(made()) == contents(made(before=3))


@pytest.mark.parametrize(
    "other", [{"scale": 4.0}, {"inplace": False}, {"factor": 4}, {"limit": 0.25}]
)
def test_a_difference_in_any_number_that_a_cell_holds_is_seen(other: dict) -> None:
    assert contents(made()) != contents(made(**other))


def test_a_difference_in_any_value_is_seen() -> None:
    model = made()
    others = [copy.deepcopy(model) for _ in range(4)]
    others[0][1].bias.data[3] = torch.nextafter(model[1].bias.data[3], torch.tensor(9.0))
    others[1].train()
    others[2][1].weight.requires_grad_(False)
    others[3][1].weight.data = model[1].weight.data.half()
    assert len({contents(m) for m in (model, *others)}) == 5


def test_prepared_networks_can_be_told_apart() -> None:
    real = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2), nn.Linear(2, 2)).eval()
    grids = [Scheme(bits, symmetric=True, narrow=True) for bits in (8, 8, 4)]
    first, same, other = (contents(qat.prepare(real, grid, Scheme(8))) for grid in grids)
    assert first == same != other


def test_the_same_network_is_measured_once(images: tuple[Tensor, Tensor]) -> None:
    calls = []

    def accuracy(*args: object) -> zoo.Accuracy:
        calls.append(args)
        return zoo.accuracy(*args)

    known, pictures, labels = shared_accuracy(accuracy), *images
    first, second = (known(made(), pictures, labels) for _ in range(2))
    assert torch.equal(first.correct, second.correct)
    assert len(calls) == 1
    known(made(), pictures[:39], labels[:39])
    known(made(limit=0.4), pictures, labels)
    assert len(calls) == 3


def test_a_network_that_keeps_something_of_a_run_is_run_again(
    images: tuple[Tensor, Tensor],
) -> None:
    for _ in range(2):
        model, kept = made(), []
        model.register_forward_hook(lambda layer, inputs, y, kept=kept: kept.append(y))
        shared_accuracy(zoo.accuracy)(model, *images)
        assert kept


def test_a_training_is_shared_to_the_last_weight(
    images: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).eval()
    schemes = Scheme(4, symmetric=True, narrow=True), Scheme(8, signed=False)
    trained, histories = [], []
    for _ in range(2):
        model = qat.prepare(real, *schemes)
        histories.append(shared_training(qat.train)(model, *images, batch_size=20))
        trained.append(model)
        monkeypatch.setattr("labkit.qat.training._descend", None)
    assert histories[0] == histories[1]
    assert len(histories[0].loss) == 2
    assert contents(trained[0].state_dict()) == contents(trained[1].state_dict())
    assert [contents(m) for m in trained[0].modules()] == [
        contents(m) for m in trained[1].modules()
    ]


def test_trained_levels_are_shared_to_the_last_bit(
    images: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).eval()
    networks = [codebooks.share_weights(real, 4) for _ in range(2)]
    losses = []
    for network in networks:
        tune = shared_fine_tuning(codebooks.fine_tune)
        losses.append(tune(network, images[0], real, steps=3))
        monkeypatch.setattr(torch.optim, "Adam", None)
    assert losses[0] == losses[1]
    assert len(losses[0]) == 3
    assert contents(networks[0]) == contents(networks[1]) != contents(real)
