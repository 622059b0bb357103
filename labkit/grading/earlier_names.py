"""The grader's modules under the names that they had before they were sorted into folders.

Scripts of instructors import them, to fill in a gradebook of their own for instance. They get the
module itself, so that a class is the same one by either name.
"""

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = __name__.rpartition(".")[0]
FOLDERS = {
    "judging": "execution fitted grader replies results run summary walk",
    "releasing": "course_map release",
    "collecting": "entries",
    "reports": "class_page feedback gradebook handing_back leaderboard lms pages publish sheets"
    " similarity",
    "sandbox": "bubblewrap docker forks process scratch",
    "submission": "makes outputs rule",
}
FOLDER_OF = {name: folder for folder, names in FOLDERS.items() for name in names.split()}


class EarlierNames(MetaPathFinder, Loader):
    """Finds a module by its earlier name; what is in a folder that moved, as well."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to load a module, or None if it never had another name."""
        return ModuleSpec(fullname, self) if name_now(fullname) else None

    def exec_module(self, module: ModuleType) -> None:
        """Put today's module in the place of the empty one."""
        name = module.__name__
        now = name_now(name)
        if now is None:
            raise ValueError(f"{name} never had another name; expected one of {[*FOLDER_OF]}")
        warnings.warn(f"{name} is called {now}: import that", DeprecationWarning, stacklevel=2)
        sys.modules[name] = import_module(now)


def name_now(name: str) -> str | None:
    """Return what a module is called today, or None if it was never called `name`."""
    first, _, inner = name.removeprefix(f"{PACKAGE}.").partition(".")
    if not name.startswith(f"{PACKAGE}.") or first not in FOLDER_OF:
        return None
    return ".".join(filter(None, (PACKAGE, FOLDER_OF[first], first, inner)))


def names_in(module: str) -> Callable[[str], Any]:
    """Return a ``__getattr__`` for the folder that has the name which a module of it had before."""

    def attribute(name: str) -> Any:
        if not name.startswith("__"):
            return getattr(import_module(module), name)
        raise AttributeError(f"module {module.rpartition('.')[0]!r} has no attribute {name!r}")

    return attribute


def install() -> None:
    """Let imports find earlier names: first of all, since a folder that moved has its files."""
    if not any(isinstance(finder, EarlierNames) for finder in sys.meta_path):
        sys.meta_path.insert(0, EarlierNames())
