"""Stopping and going on: what a training run must write down to end with the same weights."""

import os
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn

__all__ = ["Checkpoint"]


class Checkpoint:
    """A file from which a run goes on; written whole or not at all.

    Parameters
    ----------
    path : path or None
        The file; None keeps nothing.
    settings : dict
        What the run depends on. A file of other settings is refused.
    """

    def __init__(self, path: str | PathLike | None, settings: dict[str, Any]) -> None:
        self._path = None if path is None else Path(path)
        self._settings = settings

    def save(
        self,
        step: int,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        history: dict[str, list[float]],
    ) -> None:
        """Write down where the run is after `step` steps."""
        if self._path is None:
            return
        content = {
            "settings": self._settings,
            "step": step,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "history": history,
        }
        unfinished = self._path.with_name(f"{self._path.name}.unfinished")
        torch.save(content, unfinished)
        os.replace(unfinished, self._path)

    def load(
        self, model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[int, dict[str, list[float]]]:
        """Put a run back where it was; return its step and history, or 0 and {} without a file.

        Raises
        ------
        ValueError
            If the file was written with other settings.
        """
        if self._path is None or not self._path.exists():
            return 0, {}
        # weights_only reads tensors and numbers; a file that holds code is refused.
        content = torch.load(self._path, weights_only=True)
        other = {
            key: content["settings"].get(key)
            for key, value in self._settings.items()
            if content["settings"].get(key) != value
        }
        if other:
            raise ValueError(
                f"the checkpoint {self._path.name} was written with {other}; expected "
                f"{ {key: self._settings[key] for key in other} }. Go on with the same settings, "
                "or name another file."
            )
        model.load_state_dict(content["model"])
        optimizer.load_state_dict(content["optimizer"])
        return content["step"], content["history"]
