"""The engine as it is here, as it is on older chips, and where there is none."""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from kernel_cases import differences

from labkit.kernels import BackendInfo, QuantizedConv2d, backend_info, engines, qnnpack
from labkit.kernels.timing import quicker
from labkit.qparams import QParams, Scheme

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
    probes = (engines.usable, engines.saturates, qnnpack.usable)
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
    assert output[:4] == ["32767", "True", "0", "True"]
    assert " ".join(output[4:]) == "float32 int8 int8 half twice int8 twice"


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
def test_plain_loops_are_not_used(monkeypatch):
    """As oneDNN computes on a processor that it has no kernel for: rightly, and slowly."""
    run = engines.Convolution.__call__

    def slow(self, *arguments):
        time.sleep(0.01)
        return run(self, *arguments)

    monkeypatch.setattr(engines.Convolution, "__call__", slow)
    assert not engines.usable()


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


# QNNPACK, as on a processor without oneDNN


@pytest.fixture
def on_ARM(monkeypatch, fresh_probes):
    """Without oneDNN; QNNPACK is taken even where float32 products are quicker."""
    if "qnnpack" not in torch.backends.quantized.supported_engines:
        pytest.skip("torch has no QNNPACK here")
    monkeypatch.setattr(engines, "OPERATORS", ("no_such_operator",))
    monkeypatch.setattr(qnnpack, "quicker", lambda *_: True)


@pytest.mark.usefixtures("on_ARM")
def test_QNNPACK_gives_the_integers_of_the_reference():
    assert backend_info().engine == "qnnpack"
    engine = torch.backends.quantized.engine
    wrong, total, roads = differences(8 * EXAMPLES, 8 * EXAMPLES)
    assert wrong == 0
    assert total > 10000
    assert set(roads) == {"float32", "int8"}
    assert torch.backends.quantized.engine == engine


@pytest.mark.usefixtures("on_ARM")
@pytest.mark.parametrize("residual", [False, True])
def test_QNNPACK_adds_exactly_at_full_range_and_in_any_memory_format(residual):
    draw = torch.Generator().manual_seed(0)
    q_w = torch.randint(-127, 128, (24, 200, 1, 1), generator=draw, dtype=torch.int8)
    q_w[:2] = 127
    q_x = torch.randint(0, 256, (3, 200, 5, 4), generator=draw, dtype=torch.uint8)
    q_x[0] = 255
    wide, narrow = Scheme(8, signed=False), Scheme(8, symmetric=True)
    w_qparams = QParams(torch.rand(24, generator=draw) + 0.01, torch.zeros(24).int(), narrow, 0)
    grids = (torch.randn(24, generator=draw) * 300, QParams(0.02, 200, wide), QParams(5.0, 7, wide))
    added = QParams(3.0, 9, wide) if residual else None
    inputs = [q_x, q_x[:, :24].contiguous()] if residual else [q_x]
    layers = [
        QuantizedConv2d(q_w, w_qparams, *grids, residual_qparams=added, backend=backend)
        for backend in ("torch", "reference")
    ]
    assert layers[0].road == "int8"
    for memory_format in (torch.contiguous_format, torch.channels_last):
        given = [q.contiguous(memory_format=memory_format) for q in inputs]
        assert torch.equal(layers[0](*given), layers[1](*given))


@pytest.mark.usefixtures("on_ARM")
def test_QNNPACK_is_not_used_where_it_is_inexact_or_slow(monkeypatch):
    real = qnnpack.Matmul.real
    with monkeypatch.context() as patch:
        patch.setattr(qnnpack.Matmul, "real", lambda self, x: real(self, x) + 2**-18)
        assert not qnnpack.usable()
    qnnpack.usable.cache_clear()
    monkeypatch.setattr(qnnpack, "quicker", lambda *_: False)
    assert not qnnpack.usable()
    assert backend_info().engine == "float32"


def test_quicker_times_both():
    assert quicker(lambda: None, lambda: time.sleep(0.001))
    assert not quicker(lambda: time.sleep(0.001), lambda: None)
    assert quicker(lambda: time.sleep(0.001), lambda: time.sleep(0.001), times_as_long=10)
