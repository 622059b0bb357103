"""The engine as it is here, as it is on older chips, and where there is none."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from labkit.kernels import BackendInfo, backend_info, engines

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parent
EXAMPLES = int(os.environ.get("LABKIT_EXAMPLES", "25"))
X86 = platform.machine().lower() in ("x86_64", "amd64")
needs_engine = pytest.mark.skipif(
    not engines.usable(), reason="torch has no oneDNN int8 operators here"
)


@pytest.fixture
def fresh_probes():
    """Probe again in the test, and once more after it."""
    probes = (engines.usable, engines.saturates)
    for probe in probes:
        probe.cache_clear()
    yield
    for probe in probes:
        probe.cache_clear()


# Prints the pair as the raw operator sums it, what the probe says of it, and then the differences
# of the two backends on random and adversarial layers.
ON_THIS_CHIP = """
import torch
from kernel_cases import differences
from labkit.kernels import backend_info
torch.set_num_threads(1)
onednn, ones = torch.ops.onednn, torch.ones(4)
packed = onednn.qlinear_prepack(torch.full((4, 2), 127, dtype=torch.int8), None)
pair = onednn.qlinear_pointwise(
    torch.full((1, 2), 255, dtype=torch.uint8), 1.0, 0, packed, ones, ones.int() * 0, None,
    1.0, 0, torch.float32, "none", [], "",
)
wrong, total, roads = differences({count}, {seed})
print(int(pair[0, 0]), backend_info().saturates, wrong, total > 10000, *sorted(roads))
"""


def run_python(code, **environment):
    """Output of ``code`` in a Python of its own, which must neither fail nor warn."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=TESTS,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_backend_info_says_what_it_found():
    info = backend_info()
    assert isinstance(info, BackendInfo)
    assert info.engine in ("onednn", "float32")
    assert info.instruction_set.startswith(torch.backends.cpu.get_cpu_capability())
    assert info == backend_info()


@pytest.mark.skipif(not X86, reason="oneDNN's int8 operators are those of x86")
def test_oneDNN_passes_the_probe_on_x86():
    assert backend_info().engine == "onednn"


@needs_engine
def test_this_chip_gives_the_integers_of_the_reference_without_a_warning():
    pair, saturates, wrong, enough, *_ = run_python(on_this_chip()).split()
    assert saturates == str(int(pair) != 2 * 255 * 127)
    assert (wrong, enough) == ("0", "True")


@needs_engine
@pytest.mark.skipif(not X86, reason="oneDNN's older instruction sets are those of x86")
@pytest.mark.parametrize("isa", ["AVX512_CORE", "AVX2", "SSE41"])
def test_an_older_chip_saturates_and_still_gives_the_integers_of_the_reference(isa):
    """A newer oneDNN kernel is switched off, as on a chip without 8-bit dot products."""
    output = run_python(on_this_chip(), ONEDNN_MAX_CPU_ISA=isa).split()
    assert output == ["32767", "True", "0", "True", "float32", "int8", "int8", "twice"]


def on_this_chip():
    count = 8 * EXAMPLES
    return ON_THIS_CHIP.replace("{count}", str(count)).replace("{seed}", str(count))


# Where an engine is missing or not to be trusted


@pytest.mark.usefixtures("fresh_probes")
def test_missing_operators_are_noticed(monkeypatch):
    """As on a Mac, whose torch is built without oneDNN."""
    monkeypatch.setattr(engines, "OPERATORS", ("no_such_operator",))
    assert not engines.usable()
    info = backend_info()
    assert (info.engine, info.saturates) == ("float32", False)


def no_kernel(self, *arguments):
    raise NotImplementedError("Could not run 'onednn::qconv2d_pointwise' with the 'CPU' backend.")


def last_bit_off(run):
    return lambda self, *arguments: run(self, *arguments) ^ 1


@needs_engine
@pytest.mark.usefixtures("fresh_probes")
@pytest.mark.parametrize("operator", ["Convolution", "Matmul"])
def test_operators_without_a_kernel_or_with_another_rounding_are_not_used(monkeypatch, operator):
    kind = getattr(engines, operator)
    run = kind.__call__
    for broken in (no_kernel, last_bit_off(run)):
        monkeypatch.setattr(kind, "__call__", broken)
        engines.usable.cache_clear()
        assert not engines.usable()
        assert backend_info().engine == "float32"
    monkeypatch.setattr(kind, "__call__", run)
    engines.usable.cache_clear()
    assert engines.usable()


@needs_engine
@pytest.mark.usefixtures("fresh_probes")
def test_saturation_in_either_kernel_is_noticed(monkeypatch):
    """A kernel that sums pairs in int16 gives 101 where 200 is right."""
    for operator in ("Convolution", "Matmul"):
        kind = getattr(engines, operator)
        run = kind.__call__
        with monkeypatch.context() as patch:
            patch.setattr(kind, "__call__", lambda self, *x, run=run: run(self, *x).clamp(max=101))
            engines.saturates.cache_clear()
            assert engines.saturates()
