"""Fine-tuning a prepared network."""

import math
from dataclasses import asdict, dataclass, field
from os import PathLike

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labkit.progress_bar import progress_bar
from labkit.qat.checkpoint import Checkpoint
from labkit.qat.quantizers import LSQ, FakeQuantize

__all__ = ["History", "freeze_observers", "learning_rate", "train"]

RECENT = 20  # steps that the progress bar averages


@dataclass
class History:
    """What happened, one number a step.

    Attributes
    ----------
    learning_rate, loss, accuracy : list of float
        The learning rate of the weights; the loss of the batch, and the share of its images that
        the network got right before it learned from them, 0 to 1.
    """

    learning_rate: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)

    def add(self, rate: float, loss: Tensor, correct: Tensor) -> None:
        """Add a step."""
        self.learning_rate.append(rate)
        self.loss.append(loss.item())
        self.accuracy.append(float(correct.float().mean()))

    def __str__(self) -> str:
        loss, accuracy = (sum(v[-RECENT:]) / len(v[-RECENT:]) for v in (self.loss, self.accuracy))
        return f"loss {loss:.4f}, accuracy {accuracy:.1%}, rate {self.learning_rate[-1]:.1e}"


def learning_rate(step: int, steps: int, peak: float, rise: float = 0.1) -> float:
    """Return the learning rate of a step: a straight rise, then half a cosine down towards 0.

    ::

        peak (step + 1) / warm                                      step < warm = ceil(rise * steps)
        peak (1 + cos(pi (step - warm) / (steps - warm))) / 2       later

    Parameters
    ----------
    step, steps : int
        The step, counted from 0, of how many.
    peak : float
        The largest learning rate.
    rise : float
        The share of all steps in which it rises, 0 to 1.

    Raises
    ------
    ValueError
        If there is no such step.

    Notes
    -----
    The cosine: Loshchilov and Hutter, "SGDR", ICLR 2017, arXiv:1608.03983, equation (5).
    """
    if not 0 <= step < steps:
        raise ValueError(f"step is {step} of {steps}; expected 0 to {steps - 1}.")
    warm = math.ceil(rise * steps)
    if step < warm:
        return peak * (step + 1) / warm
    return peak * (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2


def train(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    teacher: nn.Module | None = None,
    epochs: int = 1,
    batch_size: int = 64,
    peak: float = 1e-3,
    scale_peak: float = 1e-4,
    seed: int = 0,
    checkpoint: str | PathLike | None = None,
    progress: bool = False,
) -> History:
    """Fine-tune a prepared network in place; it is left in eval mode.

    Adam (Kingma and Ba 2015) with the schedule of `learning_rate`. The loss is the cross entropy of
    the network's answers q with the labels or, with a teacher, with the teacher's answers p::

        loss = - sum over classes of  p log q,      mean over the batch

    Observers move during the first half of the steps, and are frozen then.

    Parameters
    ----------
    model : nn.Module
        As `prepare` returns it.
    images : Tensor
        float32 [N, ...].
    labels : Tensor
        int64 [N].
    teacher : nn.Module, optional
        The FP32 network. Its answer says more about an image than one label does, and the loss
        ends at the teacher's own entropy rather than at 0.
    epochs : int
        Passes over the images.
    batch_size : int
        Images a step; an epoch leaves out what does not fill a batch.
    peak, scale_peak : float
        The largest learning rate of the weights, and of learned scales.
    seed : int
        Of the order of the images.
    checkpoint : path, optional
        A file to write at the end of each epoch. If it is there, training goes on from it, and
        ends with the weights of a run that was not interrupted (with as many threads).
    progress : bool
        Show a progress bar with loss, accuracy and learning rate.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If there are not as many labels as images, or fewer images than a batch; if the loss is NaN
        or infinite; if the checkpoint was written with other settings.

    Notes
    -----
    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015,
    arXiv:1503.02531, at temperature 1.
    """
    per_epoch = _steps_per_epoch(images, labels, batch_size)
    steps = epochs * per_epoch
    settings = {"epochs": epochs, "batch_size": batch_size, "peak": peak, "scale_peak": scale_peak}
    settings |= {"seed": seed, "images": len(images), "teacher": teacher is not None}
    targets = labels if teacher is None else _answers(teacher, images, batch_size)
    optimizer = _optimizer(model)
    saved = Checkpoint(checkpoint, settings)
    done, numbers = saved.load(model, optimizer)
    history = History(**numbers)
    model.train()
    bar = progress_bar(None, "fine-tune", progress, total=steps, initial=done, mininterval=0.5)
    for step in range(done, steps):
        epoch, place = divmod(step, per_epoch)
        index = _order(len(images), seed, epoch)[place * batch_size :][:batch_size]
        rates = [learning_rate(step, steps, largest) for largest in (peak, scale_peak)]
        freeze_observers(model, 2 * step >= steps)
        logits = model(images[index])
        loss = F.cross_entropy(logits, targets[index])
        _descend(optimizer, loss, rates)
        history.add(rates[0], loss, logits.argmax(1) == labels[index])
        if place == per_epoch - 1:
            saved.save(step + 1, model, optimizer, asdict(history))
        bar.set_postfix_str(str(history), refresh=False)
        bar.update()
    bar.close()
    model.eval()
    return history


def freeze_observers(model: nn.Module, frozen: bool = True) -> None:
    """Have the observed ranges of all `FakeQuantize` stay as they are, or move again."""
    for module in model.modules():
        if isinstance(module, FakeQuantize):
            module.frozen = frozen


def _steps_per_epoch(images: Tensor, labels: Tensor, batch_size: int) -> int:
    if len(images) != len(labels):
        raise ValueError(
            f"got {len(images)} images and {len(labels)} labels; expected one label an image."
        )
    if not 1 <= batch_size <= len(images):
        raise ValueError(
            f"batch_size is {batch_size} for {len(images)} images; expected 1 to {len(images)}."
        )
    return len(images) // batch_size


def _order(number: int, seed: int, epoch: int) -> Tensor:
    """Return the order of the images in an epoch, which is the same whether or not others ran."""
    return torch.randperm(number, generator=torch.Generator().manual_seed(1000 * seed + epoch))


def _optimizer(model: nn.Module) -> torch.optim.Optimizer:
    scales: list[Tensor] = [m.scale for m in model.modules() if isinstance(m, LSQ)]
    learned = set(map(id, scales))
    weights: list[Tensor] = [p for p in model.parameters() if id(p) not in learned]
    return torch.optim.Adam([{"params": weights}, {"params": scales}])


def _answers(teacher: nn.Module, images: Tensor, batch_size: int) -> Tensor:
    with torch.no_grad():
        return torch.cat([teacher(batch).softmax(1) for batch in images.split(batch_size)])


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor, rates: list[float]) -> None:
    if not bool(torch.isfinite(loss)):
        raise ValueError(
            f"the loss is {loss.item()}; expected a finite number. Use a smaller learning rate, "
            "and look for NaN in the images."
        )
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
