"""How the suite runs, for the tests and for the notebooks that nbval runs.

*Beside one another.* Without a file named, pytest keeps all cores busy. What stands in one file
runs in one process, so that its fixtures are built once. Every process has one torch thread.

*Quick or slow.* Tests and modules that always take long are marked `slow`, as notebooks are. Of
the others `tests/seconds.json` names those that took over `QUICK_SECONDS` when that was last
stored, by `pytest --store-seconds`, and they are slow as well. What is left is `quick`:
`pytest -m quick`. The files that took longest go first, so that no core is idle while the last one
ends. At the end stand the CPU seconds of each file, and the quick tests that were not. Servers,
browsers and kernels are charged to the tests for which they computed, not to the last one.
"""

import gc
import itertools
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, settings

# Set before torch and any kernel start, since kernels inherit the environment. Several threads
# would wait for one another where each core has a process of its own.
_FOLDER = tempfile.TemporaryDirectory(prefix="labkit-progress-")
os.environ["LABKIT_PROGRESS"] = _FOLDER.name
os.environ.setdefault("SHARED_RESULTS", _FOLDER.name)  # one for all processes of a run
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is no bug.
settings.register_profile("labkit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples at every run in CI, so that a red build is the change's own fault; everywhere
# else hypothesis goes on looking.
settings.register_profile("ci", settings.get_profile("labkit"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "labkit")

# With nbformat comes a check of addresses that no notebook has, whose grammar takes every process a
# second to build. nbval imports it as well, and would do so before this file.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
pytest_plugins = ["nbval.plugin"]

# All that is imported and collected stays to the end: looking through it for garbage, again and
# again, takes a sixth of the time until the first test.
gc.disable()

MODELS = os.environ.get("LABKIT_CACHE")
MOST_PROCESSES = 8  # each of them loads torch
KERNEL_STARTUP = Path(__file__).parent / "tests" / "kernel_startup.py"
STORE = Path(__file__).parent / "tests" / "seconds.json"
STORED: dict[str, dict[str, float]] = json.loads(STORE.read_text("utf-8"))
QUICK_SECONDS = 0.1  # of 6,000 tests, the 360 that take longer take more than all others
LATE = 10  # times that, since it was stored: said at the end
FILES_SHOWN = 10
SECONDS_TO_SEARCH = 4.0
SOME_TIME = 0.1  # seconds in which a server or a kernel may have computed


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the option."""
    what = "note in tests/seconds.json how long those tests took that ran"
    parser.addoption("--store-seconds", action="store_true", help=what)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers; refuse to store a part of a file."""
    config.addinivalue_line("markers", "slow: takes long; what is not slow is quick")
    config.addinivalue_line("markers", "quick: all tests that are not slow; given by conftest.py")
    config.addinivalue_line("markers", "as_learners_wait: cards are searched for no longer")
    part = config.option.markexpr or config.option.keyword or "::" in "".join(config.args)
    if config.getoption("store_seconds") and part:
        raise pytest.UsageError("--store-seconds takes whole files: leave out -m, -k and ::")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """As many processes as cores, and one more; none beside this one where files are named.

    Notebooks, browsers, graders and compilers compute in processes of their own, for which a test
    waits: the one more has the core that is idle meanwhile. What is quick never waits.
    """
    if any(Path(name.partition("::")[0]).is_file() for name in config.args):
        return 0
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(cores + (config.option.markexpr != "quick"), MOST_PROCESSES)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave notebooks unread where only what is quick is asked for."""
    unread = config.option.markexpr == "quick" and collection_path.suffix == ".ipynb"
    return unread or None  # False would overrule what else pytest leaves out


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow and what is quick; files that take longest go first."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker("slow")
        if _slow(item):
            _marked.add(item.nodeid)
        elif item.nodeid in STORED["tests"]:
            item.add_marker("slow")
        else:
            item.add_marker("quick")
    items.sort(key=lambda item: -_place(_file(item.nodeid)))


@pytest.hookimpl(tryfirst=True)  # before nbval starts the kernel, which inherits it
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let labs run as for one who fetched no model, and solutions with what is here.

    Both share what `tests/shared_results.py` names.
    """
    notebook = item.path.suffix == ".ipynb"
    lab = notebook and item.path.parent.name == "labs"
    wanted = {
        "PYTHONSTARTUP": str(KERNEL_STARTUP) if notebook else None,
        "LABKIT_CACHE": _FOLDER.name if lab else MODELS,
    }
    for name, value in wanted.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@pytest.fixture(autouse=True)
def _time_to_search(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let cards be searched for longer than a learner waits, so that slow machines say the same."""
    waits = request.node.get_closest_marker("as_learners_wait")
    if (
        request.path.name.startswith(("test_diagnosis", "test_checks_", "test_exercises"))
        and not waits
    ):
        monkeypatch.setattr("labkit.checks.diagnosis.budget.SECONDS", SECONDS_TO_SEARCH)


@pytest.fixture(scope="module", autouse=True)
def _what_is_left() -> Iterator[None]:
    """Keep what a file leaves behind out of later searches for garbage: they took a second each."""
    yield
    gc.collect()
    gc.freeze()


_marked: set[str] = set()


def _place(file: str) -> float:
    """Return how long a file takes; half of it for a lab, whose solution is to be there before."""
    return STORED["files"].get(file, 0.0) / (2 if file.startswith("labs/") else 1)


def _file(name: str) -> str:
    return name.partition("::")[0]


def _slow(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is not None


class _Spent:
    """CPU seconds of this process and of all that it started, whether they still run or not.

    A browser, a server and its kernels end long after the tests that they computed for, and would
    be charged to whatever ran last. Looking for them takes some milliseconds, so that it is done
    only where they may have computed, or one has ended.
    """

    def __init__(self) -> None:
        self._total = self._ended = self._running = 0.0

    def since(self, look: bool) -> float:
        """Return what was spent since the last call."""
        mine, ended = (sum(os.times()[i : i + 2]) for i in (0, 2))
        if look or ended != self._ended:
            self._ended, self._running = ended, sum(map(_spent_by, _below()))
        before, self._total = self._total, mine + ended + self._running
        return max(0.0, self._total - before)  # of who ends unseen nothing is known any more


def _below() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _spent_by(process: psutil.Process) -> float:
    try:
        return sum(process.cpu_times()[:4])
    except psutil.Error:  # it has just ended
        return 0.0


_spent = _Spent()


def pytest_collection_finish() -> None:
    """Begin to count where the first test does."""
    _spent.since(look=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Look for garbage from here on, also in the process that only hands out the tests."""
    gc.enable()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Note in each report what was spent since the one before."""
    report = yield
    report.cpu_seconds = _spent.since(look=report.duration > SOME_TIME)
    report.quick, report.marked = not _slow(item), item.nodeid in _marked
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the CPU seconds of the most costly files, and of quick tests that were not."""
    files, tests, quick = Counter(), Counter(), Counter()
    for report in itertools.chain(*terminalreporter.stats.values()):
        if hasattr(report, "cpu_seconds"):
            files[_file(report.nodeid)] += report.cpu_seconds
            # The end of a fixture that others shared is not the last test's own.
            if report.when != "teardown" and not report.marked:
                tests[report.nodeid] += report.cpu_seconds
                quick[report.nodeid] += report.quick * report.cpu_seconds
    if config.getoption("store_seconds"):
        _store(files, tests)
    terminalreporter.section(f"{sum(files.values()):.0f} CPU seconds")
    for name, seconds in files.most_common(FILES_SHOWN):
        terminalreporter.write_line(f"{seconds:7.1f}  {name}")
    late = [(name, s) for name, s in quick.most_common() if s > LATE * QUICK_SECONDS]
    if late:
        title = f"not marked slow, and over {LATE * QUICK_SECONDS:g} CPU seconds (--store-seconds)"
        terminalreporter.section(title)
    for name, seconds in late:
        terminalreporter.write_line(f"{seconds:7.1f}  {name}")


def _store(files: Counter[str], tests: Counter[str]) -> None:
    """Store what was measured; what is known of files of which nothing ran stays."""
    kept = {name: s for name, s in STORED["tests"].items() if _file(name) not in files}
    kept |= {name: round(s, 2) for name, s in tests.items() if s > QUICK_SECONDS}
    both = {"files": STORED["files"] | {f: round(s, 1) for f, s in files.items()}, "tests": kept}
    STORE.write_text(json.dumps(both, indent=0, sort_keys=True) + "\n", "utf-8")
