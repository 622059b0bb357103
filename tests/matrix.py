"""Which releases of torch does the course pass on? An environment for each, and the quick tests.

    python tests/matrix.py 2.12.1 2.13.0            # what pip gives; on Linux CUDA, 5 GB each
    python tests/matrix.py 2.12.1 2.13.0 --cpu      # CPU builds, through uv

What each release came to is printed, and kept in FOLDER beside its whole output. The environments
are deleted; `--keep` leaves them. Run this before the pin in pyproject.toml and requirements.txt is
widened: a release passes only if no test fails, since kernels and their references give the same
integers or they are wrong.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
LAST = re.compile(r"^.*\d+ (?:passed|failed|error).*$", re.MULTILINE)
BUILD = "import json, torch; print(json.dumps([torch.__version__, torch.version.cuda]))"
SHOWN = 20


def main() -> int:
    """Return 0 if all releases pass."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Form)
    parser.add_argument("releases", nargs="+", metavar="RELEASE", help="of torch, such as 2.13.0")
    parser.add_argument("--cpu", action="store_true", help="CPU builds, through uv")
    parser.add_argument("--folder", type=Path, default=Path("matrix"), help="for environments")
    parser.add_argument("--keep", action="store_true", help="keep the environments")
    parser.add_argument("--tests", nargs="+", default=["-m", "quick"], help="for pytest")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    passed = [try_release(release, options) for release in options.releases]
    return 0 if all(passed) else 1


class Form(argparse.RawDescriptionHelpFormatter):
    """Leaves the text above as it stands."""


def try_release(release: str, options: argparse.Namespace) -> bool:
    """Make an environment with a release of torch, run the tests, print what came of it."""
    folder = options.folder.resolve() / f"torch-{release}"
    log = folder.parent / f"{folder.name}.txt"
    print(f"torch {release}: installing", flush=True)
    with log.open("w", encoding="utf-8") as out:
        try:
            python = install(release, folder, options.cpu, out)
            version, cuda = json.loads(subprocess.check_output([python, "-c", BUILD], text=True))
            print(
                f"torch {version}: {f'CUDA {cuda}' if cuda else 'CPU build'}, testing", flush=True
            )
            tests = [python, "-m", "pytest", "-p", "no:cacheprovider", *options.tests]
            status = subprocess.run(tests, cwd=ROOT, stdout=out, stderr=out).returncode
        except subprocess.CalledProcessError as error:
            print(f"torch {release}: {' '.join(map(str, error.cmd))} failed; see {log}")
            return False
        finally:
            if not options.keep:
                shutil.rmtree(folder, ignore_errors=True)
    text = log.read_text("utf-8", "replace")
    print(f"torch {release}: {LAST.findall(text)[-1].strip('= ') if LAST.search(text) else status}")
    failed = FAILED.findall(text)
    for name in failed[:SHOWN]:
        print(f"    {name}")
    if len(failed) > SHOWN:
        print(f"    and {len(failed) - SHOWN} more; see {log}")
    return status == 0


def install(release: str, folder: Path, cpu: bool, out) -> Path:
    """Install torch, then all else without a second word on torch; return the Python."""
    venv.create(folder, with_pip=True, clear=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    pip = [python, "-m", "pip", "install", "--no-cache-dir"]
    torch = [*pip, f"torch=={release}"]
    if cpu:
        run([*pip, "uv"], out)
        uv = [python, "-m", "uv", "pip", "install", "--python", python]
        torch = [*uv, f"torch=={release}", "--torch-backend=cpu"]
    run(torch, out)
    constraint = folder / "constraint.txt"
    constraint.write_text(f"torch=={release}\n", encoding="utf-8")
    run([*pip, "-c", constraint, *requirements()], out)
    run([*pip, "--no-deps", "-e", ROOT], out)
    return python


def run(command: list, out) -> None:
    """Run a command that must not fail."""
    subprocess.run(command, check=True, stdout=out, stderr=out)


def requirements() -> list[str]:
    """Return what the course and its tests need, but torch."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]

    def expanded(names: list[str]) -> Iterator[str]:
        for one in names:
            if found := re.fullmatch(r"labkit\[(.*)\]", one):
                for extra in found[1].split(","):
                    yield from expanded(extras[extra.strip()])
            elif re.match(r"[\w-]+", one)[0] != "torch":
                yield one

    return list(
        dict.fromkeys(expanded([*project["dependencies"], *extras["labs"], "labkit[test]"]))
    )


if __name__ == "__main__":
    raise SystemExit(main())
