"""Releasing labs and grading what comes back."""

from typing import TYPE_CHECKING, Any

from labkit.grading.earlier_names import install

if TYPE_CHECKING:
    from labkit.grading.classroom import grade

__all__ = ["grade"]

install()


def __getattr__(name: str) -> Any:
    """Load ``labkit.grading.grade`` on first use."""
    if name == "grade":
        from labkit.grading.classroom import grade

        return grade
    raise AttributeError(f"module 'labkit.grading' has no attribute {name!r}")
