"""The bar that is shown where one waits."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

__all__ = ["progress_bar"]


def progress_bar(
    items: Iterable[Any] | None = None, title: str = "", show: bool = True, **options: Any
) -> tqdm:
    """Return tqdm's bar over `items`, on standard output.

    On standard error JupyterLab shows it in red, and nbgrader takes it for a failure.

    Parameters
    ----------
    items : iterable, optional
        What is gone through.
    title : str
        What is being done.
    show : bool
        Whether there is a bar at all.
    **options
        As tqdm takes them: ``total``, ``unit``, ``leave`` and the like.
    """
    return tqdm(items, title, file=sys.stdout, disable=not show, **options)
