"""Whether a browser is here that the tests can drive."""

import shutil
from importlib.util import find_spec


def chromium() -> str | None:
    """The path of a Chromium that playwright can drive."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def browser_is_here() -> bool:
    """Whether the tests in a browser run; they skip without one."""
    return chromium() is not None and find_spec("playwright") is not None
