"""What a bug report needs: versions, processor, engines, folder of the progress file; a verdict."""

import os
import platform
import shlex
import shutil
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

PACKAGES = ("labkit", "torch", "numpy", "matplotlib", "jupyterlab", "ipykernel", "nbval")

# What a lab's longest cells need besides torch itself.
FREE_BYTES = 200 * 2**20


def report() -> list[tuple[str, str]]:
    """Return (what, found) pairs, in the order in which they are printed."""
    lines = [("python", platform.python_version()), ("system", platform.platform(terse=True))]
    lines += [(name, _version(name)) for name in PACKAGES]
    lines.append(("processor", f"{_processor()}, {os.cpu_count()} cores"))
    if not broken_torch():
        lines += _of_torch()
    lines.append(("progress", _progress_folder()))
    if on_colab():
        lines.append(("Colab", _torch_of_colab()))
    return lines


def broken_torch() -> str:
    """Return why torch cannot be imported, or ""."""
    try:
        import torch  # noqa: F401
    except (ImportError, OSError) as error:  # a library that it needs, or of another machine
        return f"torch cannot be imported ({error})"
    return ""


def _of_torch() -> list[tuple[str, str]]:
    """Return the lines that need torch."""
    import torch

    from labkit.device import find_compiler

    compiler = find_compiler()
    install = 'none, and lab 8 leaves its program out: pip install "labkit[device]"'
    return [
        ("instructions", torch.backends.cpu.get_cpu_capability()),
        ("torch threads", str(torch.get_num_threads())),
        ("torch build", f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU"),
        ("int8 engines", ", ".join(torch.backends.quantized.supported_engines)),
        ("C compiler", compiler.name if compiler else install),
    ]


def problems() -> list[tuple[str, str]]:
    """Return (what is wrong, what to do) for all that would stop a student; empty if ready.

    The versions asked for are those that the installed labkit declares, with what its extra
    ``labs`` adds.
    """
    # Of this very environment; and who installed a wheel has no requirements.txt.
    install = f"{shlex.quote(sys.executable)} -m pip install"
    found = [
        (wrong, f'{install} "labkit[labs]"')
        for requirement in _requirements()
        if (wrong := _unmet(requirement))
    ]
    if not found and (wrong := broken_torch()):
        found.append((wrong, f'{install} --force-reinstall "torch{_asked_torch().specifier}"'))
    folder = _progress_parent()
    if not os.access(folder, os.W_OK):
        found.append(
            (
                f"the folder {folder} cannot be written, so progress would not last",
                "work in a folder of your own: labkit start my_labs",
            )
        )
    elif (free := shutil.disk_usage(folder).free) < FREE_BYTES:
        found.append(
            (f"{folder} has {free / 2**20:.0f} MiB left", "make room, or work in another folder")
        )
    return found


def _asked() -> list[Requirement]:
    return [Requirement(text) for text in metadata.requires("labkit") or ()]


def _asked_torch() -> Requirement:
    return next(one for one in _asked() if one.name == "torch")


def _requirements() -> list[Requirement]:
    """Return what labkit and its extra ``labs`` ask for, here and on this Python.

    Colab has an interface and a torch of its own, which stay as they are.
    """
    colab = on_colab()
    here = {"extra": "" if colab else "labs"}
    needed = [one for one in _asked() if one.marker is None or one.marker.evaluate(here)]
    return [one for one in needed if not (colab and one.name == "torch")]


def on_colab() -> bool:
    """Whether this runs on Colab, in a notebook or in a process that one started."""
    return "COLAB_RELEASE_TAG" in os.environ


def _torch_of_colab() -> str:
    if not (wrong := _unmet(_asked_torch())):
        return "its torch is the one that the labs were written for"
    return f"{wrong}. Go on with it; a number or a picture may differ from the text"


def _unmet(requirement: Requirement) -> str:
    """Say how a requirement is not met, or ""."""
    try:
        installed = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} is not installed"
    if requirement.specifier.contains(installed, prereleases=True):
        return ""
    return f"{requirement.name} is {installed}, and labkit needs {requirement.specifier}"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _progress_folder() -> str:
    state = "writable" if os.access(_progress_parent(), os.W_OK) else "not writable"
    return f"{_progress()} ({state})"


def _progress() -> Path:
    return Path(os.environ.get("LABKIT_PROGRESS", ".labkit"))


def _progress_parent() -> Path:
    """Return the folder of the progress file, or the one that it would be made in."""
    folder = _progress()
    return folder if folder.exists() else folder.parent
