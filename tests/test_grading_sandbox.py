"""What a confined process sees and can do; and what is told apart when it ends."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.grading.course import sandbox_files
from labkit.grading.inside.isolate import Limits
from labkit.grading.sandbox.box import Sandbox
from labkit.grading.sandbox.bubblewrap import problem
from labkit.grading.sandbox.process import Died, SandboxError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}"),
]

# An operation on a futex that is not private, so that it reaches all who have the page.
FUTEX = (
    "(lambda c: c.CDLL(None).syscall(98 if os.uname().machine == 'aarch64' else 202, "
    "c.byref(c.c_int(0)), {}, 1, None, None, 0))(__import__('ctypes')) < 0 and 1 / 0"
)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(sandbox_files(1), limits=Limits(memory=1 << 29)) as box:
        yield box


def seen(sandbox: Sandbox, expression: str, before: str = "") -> str:
    """Return what `expression` is in a confined process, as text."""
    with sandbox.process() as process:
        source = f"import os, sys\n{before}\nraise ValueError(repr({expression}))"
        _, message = process.ask(("cell", "<probe>", source), 20)
    return message.removeprefix("ValueError: ").split("\n")[0]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("os.getpid()", "1"),
        ("os.getppid()", "0"),
        ("os.listdir('/proc')", "[]"),
        ("os.listdir('/dev/shm') + os.listdir('/dev/pts')", "[]"),
        ("os.listdir(os.getcwd())", "[]"),
        ("os.getcwd()", "'/scratch'"),
        ("os.uname().nodename", "'sandbox'"),
        ("os.path.exists('/course/labkit/checks/lab1')", "False"),
        ("os.access('/usr', os.W_OK) or os.access('/course', os.W_OK)", "False"),
        ("os.getpgid(0) == os.getsid(0) == os.getpid()", "True"),
        ("[name for name in os.environ if 'CANARY' in name]", "[]"),
        ("'labkit' in os.listdir('/course') and os.listdir('/course')", "['labkit']"),
    ],
)
def test_a_confined_process_sees(sandbox: Sandbox, expression: str, expected: str) -> None:
    assert seen(sandbox, expression) == expected


def test_only_the_two_pipes_are_inherited(sandbox: Sandbox) -> None:
    probe = """
def is_open(descriptor):
    try: os.fstat(descriptor)
    except OSError: return False
    return True
"""
    assert seen(sandbox, "[d for d in range(1000) if is_open(d)]", probe) == "[0, 1, 2, 3, 4]"


def test_it_has_no_capability_and_cannot_get_one(sandbox: Sandbox) -> None:
    probe = """
import ctypes, struct
libc = ctypes.CDLL(None)
data = ctypes.create_string_buffer(24)
libc.capget(struct.pack("<Ii", 0x20080522, 0), data)
"""
    assert seen(sandbox, "any(data.raw)", probe) == "False"
    assert seen(sandbox, "libc.prctl(39, 0, 0, 0, 0)", probe) == "1"  # no_new_privs


@pytest.mark.parametrize(
    "action",
    [
        "os.fork()",
        "os.system('true') == 0 or 1 / 0",
        "os.execv('/bin/true', ['true'])",
        "__import__('socket').socket()",
        "open('/usr/x', 'w')",
        "open('/course/x', 'w')",
        "open('/x', 'w')",
        "open('/dev/shm/x', 'w')",
        "os.setuid(0)",
        # What another process would see: locks and notices on a file that both may read.
        "__import__('fcntl').lockf(open('/course/labkit/__init__.py'), 5)",
        "__import__('fcntl').fcntl(open('/course/labkit/__init__.py'), 1024, 0)",
        "__import__('ctypes').CDLL(None).inotify_init1(0) < 0 and 1 / 0",
        "__import__('ctypes').CDLL(None).klogctl(3, bytes(64), 64) < 0 and 1 / 0",
        # What lies in memory of a file that both may read, numbers that the kernel counts up, and
        # what a page that both have is good for.
        "os.preadv(os.open('/course/labkit/__init__.py', 0), [bytearray(1)], 0, os.RWF_NOWAIT)",
        "os.posix_fadvise(os.open('/course/labkit/__init__.py', 0), 0, 0, 4)",
        "os.pipe()",
        "__import__('socket').socketpair()",
        "__import__('ctypes').CDLL(None).readahead(0, 0, 0) < 0 and 1 / 0",
        *(FUTEX.format(operation) for operation in (1, 3, 4, 5, 6, 10)),
    ],
)
def test_it_cannot(sandbox: Sandbox, action: str) -> None:
    with sandbox.process() as process:
        status, _ = process.ask(("cell", "<probe>", f"import os\n{action}"), 20)
    assert status == "raised"


def test_threads_still_wait_and_wake_one_another(sandbox: Sandbox) -> None:
    source = """
import queue, threading
todo, done = queue.Queue(), queue.Queue()
def work():
    while (n := todo.get()) is not None: done.put(2 * n)
threads = [threading.Thread(target=work) for _ in range(4)]
for t in threads: t.start()
for n in [*range(200), *[None] * 4]: todo.put(n)
for t in threads: t.join()
assert sorted(done.get() for _ in range(200)) == [2 * n for n in range(200)]
import torch
torch.set_num_threads(4)
assert float((torch.ones(400, 400) @ torch.ones(400, 400)).sum()) == 400.0 ** 3
"""
    with sandbox.process() as process:
        assert process.ask(("cell", "<probe>", source), 20) == ("ran", "")


def test_the_reference_of_the_lab_can_be_imported_but_not_used(sandbox: Sandbox) -> None:
    with sandbox.process() as process:
        source = "from labkit.linear import quantize\nquantize(1)"
        status, message = process.ask(("cell", "<probe>", source), 20)
        assert status == "raised"
        assert "labkit.linear.quantize is not there" in message
        ran = process.ask(("cell", "<probe>", "from labkit.formats import cast"), 20)
        assert ran == ("ran", "")


def test_nothing_passes_from_one_process_to_the_next(sandbox: Sandbox) -> None:
    write = "open('/scratch/left', 'w').write('x')\nimport torch\ntorch.left = 1\nraise ValueError"
    with sandbox.process() as process:
        process.ask(("cell", "<write>", write), 20)
    probe = "import torch"
    assert seen(sandbox, "(os.listdir('/scratch'), hasattr(torch, 'left'))", probe) == "([], False)"


def test_processes_at_the_same_time_do_not_see_one_another(sandbox: Sandbox) -> None:
    with sandbox.process() as one, sandbox.process() as other:
        assert one.ask(("cell", "<write>", "open('/scratch/mine', 'w').close()"), 20)[0] == "ran"
        look = "import os\nraise ValueError(os.listdir('/scratch') + os.listdir('/proc'))"
        assert "ValueError: []" in other.ask(("cell", "<look>", look), 20)[1]


def test_random_numbers_repeat_and_threads_work(sandbox: Sandbox) -> None:
    draw = "float(torch.rand(()))"
    assert seen(sandbox, draw, "import torch") == seen(sandbox, draw, "import torch")
    threads = """
import threading
done = []
workers = [threading.Thread(target=done.append, args=(i,)) for i in range(8)]
[worker.start() for worker in workers]
[worker.join() for worker in workers]
"""
    assert seen(sandbox, "sorted(done)", threads) == "[0, 1, 2, 3, 4, 5, 6, 7]"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("while True: pass", "timeout"),
        ("import os; os._exit(0)", "crash"),
        ("import os; os.abort()", "crash"),
        ("import os; os.close(4)", "crash"),
        ("import os; os.write(4, b'x' * 100)", "crash"),
    ],
)
def test_ends_are_told_apart(sandbox: Sandbox, source: str, reason: str) -> None:
    with sandbox.process() as process, pytest.raises(Died) as end:
        process.ask(("cell", "<end>", source), 1.0 if reason == "timeout" else 60.0)
    assert end.value.reason == reason


def test_a_lost_warm_process_is_started_again(sandbox: Sandbox) -> None:
    with Sandbox(sandbox_files(1)) as box:
        assert box._warm is not None
        box._warm.kill()
        box._warm.wait()
        assert seen(box, "os.getpid()") == "1"


def test_nobody_is_blamed_for_a_sandbox_that_goes_away() -> None:
    with Sandbox(sandbox_files(1)) as box, box.process() as process:
        assert box._warm is not None
        threading.Timer(0.5, box._warm.kill).start()
        with pytest.raises(SandboxError):
            process.ask(("cell", "<wait>", "import time; time.sleep(30)"), 40)


def test_a_killed_grader_leaves_no_process_behind() -> None:
    code = """
import os, signal
from labkit.grading.course import sandbox_files
from labkit.grading.sandbox.box import Sandbox
with Sandbox(sandbox_files(1)) as box, box.process() as process:
    os.write(process.requests, b"")
    print(box._warm.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    warm = Path("/proc") / run.stdout.strip()
    for _ in range(600):
        if not warm.exists() or " Z " in (warm / "stat").read_text():
            return
        threading.Event().wait(0.1)
    raise AssertionError(f"process {os.path.basename(warm)} still runs")


def test_a_sandbox_without_a_course_says_why() -> None:
    with pytest.raises(SandboxError, match="did not start"), Sandbox({}):
        pass


def test_who_closes_the_channel_and_lives_on_is_to_blame_and_not_the_sandbox(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labkit.grading.sandbox.process.KILL_SECONDS", 0.5)
    with sandbox.process() as process, pytest.raises(Died, match="closed the channel") as end:
        process.ask(("cell", "<probe>", "import os, time\nos.close(4)\ntime.sleep(60)"), 20)
    assert end.value.reason == "crash"
    assert seen(sandbox, "1 + 1") == "2"
