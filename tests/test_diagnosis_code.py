"""What the code of an answer tells: signs, and changes that mend it; and how long that takes."""

import ast
import time

import pytest
import torch
from diagnosis import Answer, around, run

from labkit.checks import registry
from labkit.checks.calling import call_all
from labkit.checks.diagnosis.code.edits import insertions, possible
from labkit.checks.diagnosis.code.further import Further
from labkit.checks.diagnosis.code.harmless import compiled
from labkit.checks.diagnosis.code.insertions import Words
from labkit.checks.diagnosis.code.nudges import nudge, nudges_of
from labkit.checks.diagnosis.code.signs import first_digits, signs
from labkit.checks.diagnosis.code.trials import Trials
from labkit.checks.diagnosis.evidence import Evidence
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.checks.verdict import Verdict

EXERCISES = {e.id: e for number in registry.STEMS for e in registry.exercises(number)}


def verdict_of(exercise_id: str, code: str) -> Verdict:
    names = around(int(exercise_id.split(".")[0]))
    return run(Answer(EXERCISES[exercise_id], "wrong", "", code, ()), names).verdict


def keys(exercise_id: str, code: str) -> list[str]:
    return [finding.key for finding in verdict_of(exercise_id, code).findings]


def text(exercise_id: str, code: str) -> str:
    return " ".join(finding.text for finding in verdict_of(exercise_id, code).findings)


def signs_of(body: str) -> list[str]:
    (function,) = ast.parse(f"def f(x, q, low, high):\n{body}").body
    return [key for key, _, _ in signs(function)]


MENDED = (
    # Two slips, one in a function's name and one in a special case.
    (
        "2.6",
        """def kl_divergence(p, q):
    p, q = p / p.sum(), q / q.sum()
    return float((p * torch.log10(p / q)).sum())
""",
        ("takes the logarithm of empty bins, too, and uses the logarithm to base 10",),
    ),
    # Two that bring the results nearer only together.
    (
        "0.2",
        """def float_fields(pattern):
    return pattern >> 31, (pattern >> 22) & 0x7F, pattern & 0x7FFFFF
""",
        ("Two places", "`pattern >> 22` in line 2", "try `255`"),
    ),
    # One slip in two places.
    (
        "4.5",
        """def add_codes(q_a, a, q_b, b, y, relu):
    real = (q_a.double() - a[1]) / a[0] + (q_b.double() - b[1]) / b[0]
    return (torch.round(real / y[0]) + y[1]).clamp(y[1] if relu else 0, 255).long()
""",
        ("in line 2", "`(q_a.double() - a[1]) * a[0]` and `(q_b.double() - b[1]) * b[0]` there"),
    ),
    # An end of a clamp that another clamp has.
    (
        "4.5",
        """def add_codes(q_a, a, q_b, b, y, relu):
    real = (q_a.double() - a[1]) * a[0] + (q_b.double() - b[1]) * b[0]
    q = torch.round(real / y[0]) + y[1]
    return q.clamp(min=y[1]).long() if relu else q.clamp(0, 255).long()
""",
        ("With `q.clamp(y[1], 255)` there every call would be right",),
    ),
    # A product of numbers for one of matrices, though it is all of the answer.
    ("3.2", "def gemm(a, b):\n    return a.int() * b.int()\n", ("With `a.int() @ b.int()` there",)),
    # What stands elsewhere in the same code.
    (
        "2.7",
        """def merge_levels(counts, levels):
    level, out = torch.arange(len(counts)) * levels // len(counts), torch.zeros_like(counts)
    full = counts > 0
    for i in range(levels):
        here = level == i
        out[here & full] = counts[here].sum() / full.sum()
    return out
""",
        ("With `(here & full).sum` there",),
    ),
)


@pytest.mark.parametrize(("exercise_id", "code", "said"), MENDED)
def test_a_change_that_mends_every_call_is_found(exercise_id, code, said) -> None:
    words = text(exercise_id, code)
    assert all(part in words for part in said), words


def test_what_explains_one_of_two_results_is_not_said_as_if_it_were_all() -> None:
    code = """def inference_energy(macs, bytes_moved, multiply_pj, add_pj, access_pj):
    return bytes_moved * 8 * access_pj, macs * (multiply_pj + add_pj)
"""
    found = keys("0.9", code)
    assert " and " in found[-1]
    assert found[-1].startswith("repair: ")


def test_a_value_that_is_thrown_away_is_seen() -> None:
    assert signs_of("    y = x + 1\n    y.clamp(low, high)\n    return y") == [
        "throws away a value"
    ]
    assert signs_of("    q.clamp_(low, high)\n    x.fill_(0)\n    return q") == []
    assert signs_of("    torch.clamp(q, low, high, out=q)\n    return q") == []


def test_brackets_that_a_comparison_needs_are_seen() -> None:
    assert signs_of("    return (x > low) & q % 2 == 1") == ["no brackets around a comparison"]
    assert signs_of("    return x < low | x > high") == ["no brackets around a comparison"]
    assert signs_of("    return (x > low) & (q % 2 == 1)") == []
    assert signs_of("    return x & 3 == low") == []
    assert signs_of("    return low <= (x & 3) <= high") == []


def test_a_loop_that_forgets_is_seen() -> None:
    again = "    for v in x:\n        out = []\n        out.append(v)\n    return out"
    assert signs_of(again) == ["begins anew in each round"]
    assert signs_of("    for v in x:\n        out = v + 1\n    return out") == [
        "overwrites in each round"
    ]
    rows = "    for v in x:\n        row = []\n        row.append(v)\n        q.append(row)\n"
    assert signs_of(f"{rows}    return q") == []
    assert signs_of("    for v in x:\n        q = q + v\n    return q") == []


def test_slopes_that_cancel_are_seen() -> None:
    asks = "    c = torch.round(x)\n    y = {}\n    y.sum().backward()\n    return x.grad"
    for lost in ("x + (c - x)", "c - x + x", "x + c.detach() - x"):
        assert signs_of(asks.format(lost)) == ["slopes cancel"]
    assert signs_of(asks.format("x.detach() + (c - x)")) == ["slope turned round"]
    for kept in ("x + (c - x).detach()", "c.detach() - x.detach() + x", "(x - 1) + 1"):
        assert signs_of(asks.format(kept)) == []
    in_steps = "    off = torch.round(x) - x\n    y = x + off\n    y.backward()\n    return x.grad"
    assert signs_of(in_steps) == ["slopes cancel"]
    assert signs_of("    return x + (torch.round(x) - x)") == []  # nobody asks for a gradient
    itself = "    x = x - low\n    x.sum().backward()\n    return x.grad"
    assert signs_of(itself) == []


def test_names_with_dots_are_seen_where_modules_are_set() -> None:
    swap = "    for name, layer in x.{}():\n        setattr(x, name, low)\n    return x"
    assert signs_of(swap.format("named_modules")) == ["sets a dotted name"]
    assert signs_of(swap.format("named_children")) == []


def test_an_argument_that_is_overwritten_unread_is_seen() -> None:
    assert signs_of("    low = -128\n    return x.clamp(low, high)") == ["overwrites low"]
    assert signs_of("    low = low - 1\n    return x.clamp(low, high)") == []


def test_no_change_of_an_answer_may_take_all_memory() -> None:
    code = """def bucket_counts(batches, bits):
    for x in batches:
        pattern = x.flatten().view(torch.int32)
        bucket = (pattern >> (32 - bits)) & (2**bits - 1)
        counts = torch.bincount(bucket, minlength=2**bits)
    return counts
"""
    (tree,) = ast.parse(code).body
    words = Words(counts=("bits",), scalars=("bits",))
    after = [edit.after for source in (possible, insertions) for edit in source(tree, words)]
    assert len(after) > 20
    assert "torch.bincount(pattern, minlength=2 ** bits)" not in after
    assert not [source for source in after if "2 ** 2 **" in source or "2 ** (2 **" in source]


def test_no_change_of_an_answer_is_a_tower_of_powers() -> None:
    """2 ** 2 ** 30 has a billion bits: Python computes it for seconds, and cannot be stopped."""
    code = """def rounded(x, shift):
    n = 2**shift
    return (x + n // 2) >> shift if shift else x
"""
    (tree,) = ast.parse(code).body
    words = Words(counts=("shift",), scalars=("shift",))
    after = [edit.after for source in (possible, insertions) for edit in source(tree, words)]
    assert len(after) > 20
    powers = [node for text in after for node in ast.walk(ast.parse(text)) if is_power(node)]
    assert powers
    assert not [ast.unparse(node) for node in powers if any(map(is_power, ast.walk(node.right)))]


@pytest.mark.parametrize(
    ("line", "bits"),
    [("2**n", 9_000_000_000), ("1 << n", 9_000_000_000), ("2 ** (n + 0)", 5000), ("2**n", 62)],
)
def test_changed_code_makes_no_number_of_thousands_of_bits(line: str, bits: int) -> None:
    """Such as 2 ** shift with a shift of billions, which takes all memory there is."""
    module, space = ast.parse(f"def f(n):\n    return {line}\n"), {}
    before = ast.unparse(module)
    exec(compiled(module.body, "<changed>", space), space)
    assert ast.unparse(module) == before
    if bits == 62:
        assert space["f"](bits) == 2**62
    else:
        with pytest.raises(OverflowError, match="expected 4096 at most"):
            space["f"](bits)


def test_changed_code_has_no_loop_that_never_ends() -> None:
    """It may get from changed code what its condition never meets."""
    module, space = ast.parse("def f(n):\n    k = n\n    while k:\n        k -= 1\n"), {}
    before = ast.unparse(module)
    exec(compiled(module.body, "<changed>", space), space)
    assert ast.unparse(module) == before
    space["f"](100)
    with pytest.raises(RecursionError, match="more than 2000 rounds"):
        space["f"](-1)


def is_power(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow)


SLOW = (
    # A network for each choice of widths.
    (
        "4.7",
        """def sensitivity(layers, x, bits):
    found = []
    for i in range(len(layers)):
        h = x
        for j, (w, b) in enumerate(layers):
            s = w.abs().max() / 2**bits
            h = torch.relu(h @ (torch.round(w / s) * s if i == j else w).t() + b)
        found.append(10 * math.log(h.square().mean()))
    return torch.tensor(found)
""",
    ),
    # One that trains.
    (
        "5.9",
        """def ternary_network(w, x, labels):
    v = w.clone().requires_grad_()
    optimizer = torch.optim.SGD([v], lr=0.1)
    for _ in range(100):
        loss = nn.functional.cross_entropy(x @ v.t(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return v.detach()
""",
    ),
    # A change of the reference makes a loop in another function endless.
    (
        "7.11",
        """def rotate(x):
    def go(a):
        if a.shape[-1] == 1:
            return a
        even, odd = go(a[..., 0::2]), go(a[..., 1::2])
        return torch.cat([even + odd, even - odd], dim=-1)

    return go(x) / x.shape[-1] ** 0.5
""",
    ),
    # A change makes a loop endless.
    (
        "0.3",
        """def float_value(sign, exponent, mantissa, exponent_bits, mantissa_bits):
    scale = 1.0
    while exponent > 0:
        scale, exponent = scale * 3, exponent - 1
    return scale + mantissa + sign
""",
    ),
)


@pytest.mark.as_learners_wait
@pytest.mark.parametrize(("exercise_id", "code"), SLOW)
def test_no_card_computes_for_more_than_a_second(exercise_id, code) -> None:
    torch.set_num_threads(1)
    verdict = verdict_of(exercise_id, code)
    start = time.process_time()
    assert isinstance(verdict.findings, tuple)
    assert time.process_time() - start < 1


def test_a_nudge_that_the_reference_has_not_names_a_place_at_most() -> None:
    code = """def network_bytes(shapes, bits):
    total = 0
    for shape in shapes:
        total += math.ceil(math.prod(shape) * (bits - 1) / 8)
    return total
"""
    assert keys("0.8", code) == ["argument: bits one fewer"]
    (old,) = [n for n in ast.walk(ast.parse("f(x)")) if isinstance(n, ast.Name) and n.id == "x"]
    one = ast.Constant(1)
    assert nudge(old, ast.BinOp(old, ast.Sub(), one)) == "one"
    assert nudge(old, ast.BinOp(one, ast.Sub(), old)) == "rest"
    assert nudge(old, ast.UnaryOp(ast.USub(), old)) == "sign"
    assert nudge(old, ast.BinOp(old, ast.Div(), ast.Constant(100))) == "hundred"
    assert nudge(old, ast.Name("y", ast.Load())) == ""
    mask = ast.BinOp(ast.Constant(2), ast.Pow(), old)
    assert nudge(mask, ast.BinOp(mask, ast.Sub(), one)) == ""
    assert nudges_of(ast.walk(ast.parse("a - 1 if b else -c / d"))) == {
        "one",
        "sign",
        "upside down",
    }


def test_a_change_must_mend_further_calls_as_well() -> None:
    exercise = EXERCISES["0.7"]
    cases = [case for case in exercise.draw(NOTEBOOK_SEED) if case.args[0] % 2]
    outcomes = call_all(lambda value, bits: -1, cases)
    evidence = Evidence(exercise, cases, outcomes, [exercise.reference(*c.args) for c in cases])
    further = Further(evidence, lambda value, bits: -1)

    def odd_alone(value: int, bits: int) -> int:
        return value % 2**bits if value % 2 else 0

    trials = Trials(evidence, range(len(cases)))
    trial = trials.of(odd_alone)
    assert trial is not None
    assert len(trial.mended) == len(cases)
    assert not further.hold(odd_alone)
    assert not further.hold_in_part(odd_alone, trial, trials)
    assert further.hold(exercise.reference)


def test_what_an_item_is_assigned_to_is_not_changed_and_the_line_may_be_left_out() -> None:
    (function,) = ast.parse("def f(h, dead):\n    h[dead, dead] = 1\n    return h.sum()").body
    after = [edit.after for edit in possible(function, Words()) if edit.line == 2]
    assert "pass" in after
    assert not [text for text in after if text.startswith("(-h)")]


def test_functions_of_a_loop_are_given_what_they_read_of_their_round() -> None:
    (function,) = ast.parse(
        "def f(x, layers):\n    for w in layers:\n        w.forward = lambda h: h @ w\n    return x"
    ).body
    after = [edit.after for edit in possible(function, Words())]
    assert "lambda h, w=w: h @ w" in after
    assert [key for key, _, _ in signs(function)] == ["reads w late"]


def test_one_character_of_a_text_is_no_number() -> None:
    (function,) = ast.parse("def f(s):\n    return int(s.split('(')[1][0]), int(s.split()[0])").body
    assert [ast.unparse(node) for node in first_digits(function)] == ["int(s.split('(')[1][0])"]


def test_an_argument_that_is_read_is_not_said_to_be_left_out() -> None:
    code = """def dequantize(q, scale, zero_point):
    return (q.float() - zero_point * 0) * scale
"""
    words = text("1.4", code)
    assert "out of account" not in words
