"""What happens without a word in an answer's calls: wrapped numbers, empty slices, empty sums."""

import ast

import numpy as np
import pytest
import torch
from diagnosis import Answer, around, run

from labkit.checks import registry
from labkit.checks.diagnosis.code.watching import watched

EXERCISES = {e.id: e for number in registry.STEMS for e in registry.exercises(number)}


def text(exercise_id: str, code: str) -> str:
    names = around(int(exercise_id.split(".")[0]))
    verdict = run(Answer(EXERCISES[exercise_id], "wrong", "", code, ()), names).verdict
    return " ".join(finding.text for finding in verdict.findings)


def seen(body: str, **given: object) -> dict[str, tuple[str, object, object]]:
    """Return what happens in a function, by the source of the place."""
    tree = ast.parse(f"def f({', '.join(given)}):\n    {body}")
    functions, watch = watched(tree.body)
    space = {"np": np, "torch": torch, **watch.names()}
    exec(compile(ast.Module(functions, []), "<f>", "exec"), space)
    space["f"](**given)
    return {watch.spots[k].source: (h.kind, h.meant, h.came) for (k, _), h in watch.seen.items()}


BYTES = torch.tensor([100, -100], dtype=torch.int8)


@pytest.mark.parametrize(
    ("body", "place", "what"),
    [
        ("return x * 3", "x * 3", ("wraps", 300, 44)),
        ("return x.abs() + x.abs()", "x.abs() + x.abs()", ("wraps", 200, -56)),
        ("return np.matmul(x.numpy(), x.numpy())", "np.matmul(x.numpy(), x.numpy())", None),
        ("return (x.int() * 2).to(torch.uint8)", "(x.int() * 2).to(torch.uint8)", None),
        ("x += x", "x += x", ("wraps", 200, -56)),
        ("return -(x - 28)", "x - 28", ("wraps", -128, -128)),
        ("return sum(v for v in x if v > 100)", "sum((v for v in x if v > 100))", None),
        ("return (x / 8).int()", "(x / 8).int()", ("towards 0", -13, -12)),
        ("return int(x[0] / 8 + 0.25)", "int(x[0] / 8 + 0.25)", ("not rounded", 13, 12)),
        ("return (x.long() + 2**24 + 1).float()", "(x.long() + 2 ** 24 + 1).float()", None),
        ("return (x.long() * 2**50) * 2**13", "x.long() * 2 ** 50 * 2 ** 13", None),
        ("return (n + 7) // 2", "(n + 7) // 2", ("drops the remainder", 3.5, 3)),
        ("x[0] = 1.75", "x[0] = 1.75", ("not rounded", 2, 1)),
        ("x[:] = torch.tensor([3, 300])", "x[:] = torch.tensor([3, 300])", None),
        ("return torch.ones(2, 2) / x", "torch.ones(2, 2) / x", ("along columns", None, None)),
        ("return x[:-n]", ":-n", ("ends at -0", None, None)),
        ("return x[-n:]", "-n:", ("begins at -0", None, None)),
    ],
)
def test_what_happens_is_seen_where_it_happens(body, place, what) -> None:
    found = seen(body, x=BYTES.clone(), n=0)
    if what == ("wraps", -128, -128):  # -100 - 28 fits; its negative does not
        assert list(found) == ["-(x - 28)"]
        return
    assert list(found) == [place]
    assert what is None or found[place] == what


@pytest.mark.parametrize(
    "body",
    ["return x + 3", "return x.int() * 3", "return x.float() * 3", "return x[:-1], x[:n - 1]"],
)
def test_where_all_is_well_nothing_is_seen(body) -> None:
    assert seen(body, x=BYTES.clone(), n=0) == {}


SAID = (
    (
        "4.5",
        """def add_codes(q_a, a, q_b, b, y, relu):
    real = (q_a.double() - a[1]) * a[0] + (q_b.double() - b[1]) * b[0]
    steps = (real / y[0] + 0.5).to(torch.int64) + y[1]
    return steps.clamp(y[1] if relu else 0, 255)
""",
        ("`(real / y[0] + 0.5).to(torch.int64)` cuts decimals off towards 0", "With `floor` there"),
    ),
    (
        "1.8",
        """def quantize_per_channel(w, axis, bits):
    top = 2 ** (bits - 1) - 1
    rows = w.transpose(0, axis).flatten(1)
    scale = rows.abs().amax(1) / top
    scale = torch.where(scale == 0, 1.0, scale)
    q = torch.round(rows / scale).clamp(-top, top).int()
    return q.reshape(w.transpose(0, axis).shape).transpose(0, axis), scale
""",
        ("`rows / scale` lines one number a row up with the columns", "every call would be right"),
    ),
    (
        "1.3",
        """def quantize(x, scale, zero_point, qmin, qmax):
    return ((x / scale).int() + zero_point).clamp(qmin, qmax)
""",
        ("cuts",),
    ),
    (
        "3.2",
        "def gemm(a, b):\n    return torch.from_numpy(a.numpy() @ b.numpy()).int()\n",
        ("`a.numpy() @ b.numpy()` is computed in int", "every call would be right"),
    ),
    (
        "8.4",
        """def shift_like_c(x, shift):
    size = x.abs() >> shift
    return torch.where(x < 0, -size, size), x >> shift, (x.long() + ((1 << shift) >> 1)) >> shift
""",
        ("`x.abs()`", "where 2147483648 belongs comes -2147483648"),
    ),
    (
        "3.10",
        """def im2col(q_x, kernel_size, stride, padding, zero_point):
    c, h, w = q_x.shape
    n, k = padding, kernel_size
    wide = torch.full((c, h + 2 * n, w + 2 * n), zero_point, dtype=q_x.dtype)
    wide[:, n:-n, n:-n] = q_x
    parts = wide.unfold(1, k, stride).unfold(2, k, stride)
    return parts.permute(0, 3, 4, 1, 2).reshape(c * k * k, -1)
""",
        ("`n:-n` is empty for a 0", "every call would be right"),
    ),
    (
        "6.1",
        """def assign_codes(x, levels):
    borders = (levels[:-1] + levels[1:]) / 2
    return sum((x > border).long() for border in borders)
""",
        ("has nothing to add up", "the int 0"),
    ),
)


@pytest.mark.parametrize(("exercise_id", "code", "said"), SAID)
def test_what_happens_is_said_where_it_is_why_calls_are_wrong(exercise_id, code, said) -> None:
    words = text(exercise_id, code)
    assert all(part in words for part in said), words
