"""A C compiler on every machine: the system's own, or the one that the package ziglang brings."""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.device.running import Program, name_in

__all__ = ["Compiler", "build", "compile_c", "find_compiler"]

FLAGS = ("-std=c99", "-O3", "-Wall", "-Wextra", "-pedantic")
NATIVE = "-march=native"  # the library runs where it was made
PLAIN = "-Os"  # small code: no loop is vectorized
SECONDS = 600


@dataclass(frozen=True)
class Compiler:
    """A C compiler.

    Attributes
    ----------
    name : str
        To tell people.
    command : tuple of str
        What calls it.
    """

    name: str
    command: tuple[str, ...]


def find_compiler() -> Compiler | None:
    """Return the system's C compiler (CC, cc, gcc, clang), else that of ziglang, or None."""
    wanted = os.environ.get("CC", "")
    for name, *arguments in filter(None, (shlex.split(wanted), ["cc"], ["gcc"], ["clang"])):
        path = shutil.which(name)
        if path:
            return Compiler(f"{name} ({os.path.realpath(path)})", (path, *arguments))
    if importlib.util.find_spec("ziglang"):
        return Compiler("zig cc (package ziglang)", (sys.executable, "-m", "ziglang", "cc"))
    return None


def build(
    folder: str | os.PathLike, name: str | None = None, compiler: Compiler | None = None
) -> Program:
    """Compile a program that `export_c` wrote, and load it.

    Parameters
    ----------
    folder : path
        Where NAME.c and NAME.h are, and the library goes.
    name : str, optional
        Of the program, if there are several.
    compiler : Compiler, optional
        `find_compiler` by default.

    Returns
    -------
    Program
        Its `compiler` says what compiled it.

    Raises
    ------
    ValueError
        If there is no compiler, no program or there are several, or the compiler fails; what it
        said is in the message, and a library that was there stays. Or if it compiles for another
        machine.
    OSError
        If the folder cannot be written.
    """
    folder = Path(folder)
    name = name_in(folder) if name is None else name
    source = folder / f"{name}.c"
    if not source.is_file():
        raise ValueError(f"there is no file {str(source)!r}; expected one that export_c wrote.")
    compiler = compiler or find_compiler()
    if compiler is None:
        raise ValueError(
            "there is no C compiler here (cc, gcc, clang); install one, or the package that brings "
            "one along: pip install labkit[device]"
        )
    library = folder / f"{name}{sysconfig.get_config_var('SHLIB_SUFFIX') or '.so'}"
    shared = [*FLAGS, "-shared", *([] if os.name == "nt" else ["-fPIC"])]
    _compile_somehow(compiler, source, library, shared)
    try:
        return Program(folder, name, library, compiler.name)
    except OSError as error:
        library.unlink()
        raise ValueError(
            f"{compiler.name} made a library that this machine cannot load: {error}. Expected a "
            "compiler for this machine; CC names another one."
        ) from error


def _compile_somehow(compiler: Compiler, source: Path, library: Path, flags: Sequence[str]) -> None:
    """Compile for speed; else without what a compiler may lack or stumble over.

    Some have no flag for some processors, and clang 22 crashes on some loops that it vectorizes.
    """
    for more in ((NATIVE,), (), (PLAIN,)):
        try:
            compile_c(compiler, [source], library, [*flags, *more])
        except ValueError:
            if more == (PLAIN,):
                raise
        else:
            return


def compile_c(
    compiler: Compiler,
    sources: Sequence[Path],
    output: Path,
    flags: Sequence[str],
    libraries: Sequence[str] = (),
    seconds: float = SECONDS,
) -> None:
    """Compile C files into one file, which is written whole or not at all.

    It may take so many seconds.

    Raises
    ------
    ValueError
        If the compiler fails.
    OSError
        If the folder cannot be written.
    """
    partial = output.with_name(f"{output.stem}.partial{output.suffix}")
    command = [*compiler.command, *flags, "-o", str(partial), *map(str, sources), *libraries]
    try:
        # A folder that cannot be written is no fault of the program's.
        partial.touch()
        run = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        if run.returncode:
            raise ValueError(
                f"{compiler.name} failed with status {run.returncode} on {sources[0].name}: "
                f"{(run.stderr or run.stdout).strip()[:2000]}"
            )
        partial.replace(output)
    except (OSError, subprocess.TimeoutExpired) as error:
        if isinstance(error, OSError) and error.filename != compiler.command[0]:
            raise
        raise ValueError(f"{compiler.name} cannot be run: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
        for rest in output.parent.glob(f"{output.stem}.partial.*"):
            rest.unlink()  # zig leaves a file of symbols beside a library on Windows
