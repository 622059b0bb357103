"""What takes long in the given cells of the labs, once for all notebooks of one run of the suite.

A lab and its solution hold the same given cells. Where both train the same network or ask what the
same one gets right, with the same images and settings to the last bit, the second is told what the
first found. "The same" is what `contents` makes of it: parameters, hooks, the code of whatever a
notebook defines, and that of the package. Whatever differs, or cannot be told, is computed.

`tests/kernel_startup.py` loads this into the kernels that nbval starts; `SHARED_RESULTS` names the
folder, which is new in every run.
"""

import functools
import hashlib
import inspect
import os
import pickle
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

import labkit

MAIN = "__main__"
PLAIN_STATE = nn.Module.__getstate__, nn.Module.__reduce__
LEFT_OUT = "__dict__", "__weakref__", "__doc__", "__annotations__"


def contents(*values: object) -> str:
    """Return a digest of all that values hold, in the words of a file name.

    Raises
    ------
    Exception
        Whatever pickle raises, if they hold something of which it cannot be told.
    """
    file = BytesIO()
    _Contents(file).dump(values)
    return hashlib.sha256(file.getvalue()).hexdigest()


class _Contents(pickle.Pickler):
    """Pickles what a notebook defines by its code, and tensors by a digest."""

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file, protocol=4)
        self._begun: list[object] = []

    def reducer_override(self, value: Any) -> Any:
        """Return what stands for a value, in the form of ``__reduce__``."""
        if isinstance(value, Tensor):
            return _known_by(type(value), value.requires_grad, *_numbers(value))
        if isinstance(value, ModuleType):
            return _known_by("module", value.__name__)
        if isinstance(value, FunctionType) and _is_written_here(value):
            return self._once(value, _function)
        if isinstance(value, type) and not _has_a_place(value):
            return self._once(value, _class)
        if isinstance(value, property):
            return _known_by("property", value.fget, value.fset)
        if isinstance(value, staticmethod | classmethod):
            return _known_by(type(value), value.__func__)
        if isinstance(value, nn.Module) and (_is_plain(type(value)) or is_parametrized(value)):
            return _known_by(type(value), *map(_unordered, vars(value).items()))
        return NotImplemented

    def _once(self, value: Any, parts: Callable[[Any], tuple]) -> Any:
        # A function may call itself, and a method knows its class.
        place = next((i for i, other in enumerate(self._begun) if other is value), None)
        if place is not None:
            return _known_by("begun", place)
        self._begun.append(value)
        return _known_by(*parts(value))


def _known_by(*parts: object) -> tuple:
    return tuple, (parts,)


def _numbers(value: Tensor) -> tuple:
    stored = value.detach().contiguous().flatten().view(torch.uint8).numpy()
    digest = hashlib.sha256(stored.tobytes()).digest()
    return str(value.dtype), tuple(value.shape), value.stride(), digest


def _is_written_here(function: FunctionType) -> bool:
    """Whether a function is the notebook's, or made by another one and cannot be found by name."""
    return function.__globals__["__name__"] == MAIN or "<" in function.__qualname__


def _function(function: FunctionType) -> tuple:
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    names, code = _code(function.__code__)
    world = function.__globals__
    used = [(name, world[name]) for name in sorted(names) if name in world]
    values = function.__defaults__, function.__kwdefaults__, cells
    return "function", code, values, used if world["__name__"] == MAIN else []


def _code(code: CodeType) -> tuple[set[str], tuple]:
    """Return the names that code asks for, and the code, without where it stands."""
    names, constants = set(code.co_names), []
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner, constant = _code(constant)
            names |= inner
        constants.append(constant)
    variables = code.co_varnames, code.co_freevars, code.co_cellvars
    return names, (code.co_code, code.co_names, variables, tuple(constants))


def _class(kind: type) -> tuple:
    own = [(name, value) for name, value in vars(kind).items() if name not in LEFT_OUT]
    return "class", kind.__name__, kind.__bases__, own


def _has_a_place(kind: type) -> bool:
    """Whether a class stands in a module under its own name."""
    if kind.__module__ in (MAIN, "builtins"):
        return kind.__module__ != MAIN
    return getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind


def _is_plain(kind: type[nn.Module]) -> bool:
    return (kind.__getstate__, kind.__reduce__) == PLAIN_STATE


def _unordered(attribute: tuple[str, Any]) -> tuple[str, Any]:
    """Return an attribute of a layer without what tells only when hooks were registered."""
    name, value = attribute
    if "_hooks" in name and isinstance(value, dict):
        return name, list(value.values())
    return name, sorted(value, key=str) if isinstance(value, set) else value


def shared_accuracy(accuracy: Callable) -> Callable:
    """Share which images a network gets right."""

    @functools.wraps(accuracy)
    def known(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int = 100) -> Any:
        path = _path("accuracy", model, images, labels, batch_size)
        if path is not None and path.exists():
            return sys.modules["labkit.zoo"].Accuracy(torch.load(path, weights_only=True))
        found = accuracy(model, images, labels, batch_size)
        # What a hook keeps of a run, the second notebook would miss.
        if path == _path("accuracy", model, images, labels, batch_size):
            _keep(path, found.correct)
        return found

    return known


def shared_fine_tuning(fine_tune: Callable) -> Callable:
    """Share a network's trained state, and the losses on the way."""

    @functools.wraps(fine_tune)
    def known(model: nn.Module, *args: Any, **settings: Any) -> Any:
        path = _path("fine_tune", model, args, settings)
        if path is not None and path.exists():
            losses, state = torch.load(path, weights_only=True)
            model.eval().load_state_dict(state)
            return losses
        losses = fine_tune(model, *args, **settings)
        _keep(path, (losses, model.state_dict()))
        return losses

    return known


def shared_training(train: Callable) -> Callable:
    """Share a training: with a checkpoint, as for a student who stopped it and goes on."""

    @functools.wraps(train)
    def known(*args: Any, **settings: Any) -> Any:
        given = inspect.signature(train).bind(*args, **settings).arguments
        if given.get("checkpoint") is None:
            settings["checkpoint"] = _path("train", args, settings)
        history = train(*args, **settings)
        sys.modules["labkit.qat"].freeze_observers(given["model"])
        return history

    return known


SHARED = {
    ("labkit.zoo", "accuracy"): shared_accuracy,
    ("labkit.ptq.measuring", "accuracy"): shared_accuracy,
    ("labkit.ptq.sensitivity", "accuracy"): shared_accuracy,
    ("labkit.codebooks", "fine_tune"): shared_fine_tuning,
    ("labkit.qat", "train"): shared_training,
}


def share(*_: object) -> None:
    """Share what the modules that are loaded by now compute."""
    for (module, name), wrapper in SHARED.items():
        own = getattr(sys.modules.get(module), name, None)
        if own is not None and not hasattr(own, "__wrapped__"):
            setattr(sys.modules[module], name, wrapper(own))


@functools.cache
def _package() -> str:
    """Return a digest of the package's code: a run within a test may have another one."""
    files = sorted(Path(labkit.__file__).parent.rglob("*.py"))
    return contents(*(file.read_bytes() for file in files))


def _path(*what: object) -> Path | None:
    """Return where a result is kept; None if nobody can tell what it depends on."""
    try:
        return Path(os.environ["SHARED_RESULTS"]) / contents(_package(), *what)
    except Exception:  # whatever the parts of a network raise when they are pickled
        return None


def _keep(path: Path | None, result: object) -> None:
    if path is not None:
        unfinished = path.with_name(f"{path.name}.{os.getpid()}")
        torch.save(result, unfinished)
        os.replace(unfinished, path)
