"""How the suite runs, for the tests and for the notebooks that nbval runs.

*Beside one another.* Without a file named, pytest uses all cores. What stands in one file runs in
one process, so that its fixtures are built once. Every process has one torch thread.

*Quick or slow.* Tests and modules that take long are marked `slow`, notebooks always are; every
other test is `quick`, which `pytest -m quick` runs. At the end stand the CPU seconds of each file,
and the quick tests that were not.
"""

import os
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Set before torch and any kernel start, since kernels inherit the environment. Several threads
# would wait for one another where each core has a process of its own.
_FOLDER = tempfile.TemporaryDirectory(prefix="labkit-progress-")
os.environ["LABKIT_PROGRESS"] = _FOLDER.name
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is no bug.
settings.register_profile("labkit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples at every run in CI, so that a red build is the change's own fault; everywhere
# else hypothesis goes on looking.
settings.register_profile("ci", settings.get_profile("labkit"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "labkit")

MODELS = os.environ.get("LABKIT_CACHE")
MOST_PROCESSES = 8  # each of them loads torch
QUICK_SECONDS = 2.0
FILES_SHOWN = 10


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    config.addinivalue_line("markers", "slow: takes long; what is not slow is quick")
    config.addinivalue_line("markers", "quick: all tests that are not slow; given by conftest.py")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """As many processes as cores; none beside this one where files are named."""
    if any(Path(name.partition("::")[0]).is_file() for name in config.args):
        return 0
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return min(len(affinity(0)) if affinity else os.cpu_count() or 1, MOST_PROCESSES)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is quick; files with a slow test go first."""
    slow = set()
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker("slow")
        if _slow(item):
            slow.add(item.path)
        else:
            item.add_marker("quick")
    # What takes long at the end would leave the other cores idle.
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(tryfirst=True)  # before nbval starts the kernel, which inherits it
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let labs run as for one who fetched no model, and solutions with what is here."""
    if item.path.suffix == ".ipynb":
        os.environ.pop("LABKIT_CACHE", None)
        if folder := _FOLDER.name if item.path.parent.name == "labs" else MODELS:
            os.environ["LABKIT_CACHE"] = folder


def _slow(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is not None


def _cpu_seconds() -> float:
    """CPU seconds of this process, and of those it started and waited for."""
    return sum(os.times()[:4])


_counted = 0.0


def pytest_collection_finish() -> None:
    """Begin to count where the first test does."""
    global _counted
    _counted = _cpu_seconds()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Note in each report what was spent since the one before."""
    global _counted
    report = yield
    now = _cpu_seconds()
    report.cpu_seconds, _counted = now - _counted, now
    report.quick = not _slow(item)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the CPU seconds of the most costly files, and of quick tests that were not."""
    files, quick = Counter(), Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if hasattr(report, "cpu_seconds"):
                files[report.location[0]] += report.cpu_seconds
                if report.quick:
                    quick["{0}::{2}".format(*report.location)] += report.cpu_seconds
    terminalreporter.section(f"{sum(files.values()):.0f} CPU seconds")
    for name, seconds in files.most_common(FILES_SHOWN):
        terminalreporter.write_line(f"{seconds:7.1f}  {name}")
    late = [(name, s) for name, s in quick.most_common() if s > QUICK_SECONDS]
    if late:
        terminalreporter.section(f"not marked slow, and over {QUICK_SECONDS:g} CPU seconds")
    for name, seconds in late:
        terminalreporter.write_line(f"{seconds:7.1f}  {name}")
