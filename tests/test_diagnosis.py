"""What a card says about a slip: the share that is named, and the sources one by one."""

import ast
import gc
import math
import threading
from dataclasses import replace

import pytest
import torch
from diagnosis import Answer, answers, around, row, run

from labkit.checks import registry
from labkit.checks.calling import call_all
from labkit.checks.diagnosis.code.edits import edits
from labkit.checks.diagnosis.code.harmless import grows_what_it_reads
from labkit.checks.diagnosis.evidence import Evidence
from labkit.checks.diagnosis.explanations.arguments import Arguments
from labkit.checks.diagnosis.explanations.variants import reachable, tree_of
from labkit.checks.diagnosis.facts.contrast import contrast, parting
from labkit.checks.diagnosis.facts.errors import meaning
from labkit.checks.exercise import Case
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.checks.messages import verdict_card
from labkit.checks.verdict import judge

SAMPLE = 7  # every seventh answer of each lab: all of them take minutes
EXERCISES = {e.id: e for number in registry.STEMS for e in registry.exercises(number)}


def keys(exercise_id: str, answer) -> list[str]:
    exercise = EXERCISES[exercise_id]
    cases = exercise.draw(NOTEBOOK_SEED)
    return [f.key for f in judge(exercise, cases, call_all(answer, cases)).findings]


@pytest.mark.slow
@pytest.mark.parametrize("number", registry.STEMS)
def test_most_slips_of_a_sample_are_named(number: int) -> None:
    wrong = [answer for answer in answers(number) if answer.kind == "wrong"]
    names = around(number)
    counts = row([run(answer, names) for answer in wrong[::SAMPLE]])
    assert counts["named"] >= 0.75 * counts["wrong"]
    assert counts["unnamed"] <= 0.1 * counts["wrong"]
    assert counts["wrong cause"] == 0


def test_an_argument_that_is_left_out_is_named() -> None:
    quantize = EXERCISES["1.3"].reference
    found = keys("1.3", lambda x, s, z, low, high: quantize(x, s, z, -128, 127))
    assert found == ["argument: qmin and qmax fixed"]


def test_no_argument_is_guessed_far_from_what_was_passed() -> None:
    """2**bits numbers are made of `bits`: a guess of 32 would take all memory there is."""
    exercise, tried = EXERCISES["6.7"], []

    def reference(bits: int, offset: float) -> torch.Tensor:
        tried.append(bits)
        return exercise.reference(bits, offset)

    cases = exercise.draw(NOTEBOOK_SEED)
    evidence = Evidence(replace(exercise, reference=reference), cases, (), ())
    for explanation in Arguments(evidence).explanations():
        explanation.predict(0)
    assert 1 < max(tried) <= 2 * max(case.args[0] for case in cases)


def test_a_guess_that_divides_by_zero_is_no_fault_of_the_diagnosis() -> None:
    def symmetric(kind: str, low: float, high: float, x_scale: float, w_scale: float) -> tuple:
        if kind == "bias":
            return x_scale * w_scale, 0, -(2**31), 2**31 - 1
        return max(-low, high) / 127, 0, -127 if kind == "weight" else -128, 127

    assert keys("4.2", symmetric)


def test_two_slips_are_named_where_a_guess_would_shift_by_billions() -> None:
    def wrong(acc, mantissa, shift, zero_point, qmin, qmax):
        product = acc.to(torch.int64) * mantissa
        return ((product + (1 << 30 + shift)) >> 31 + shift).clamp(qmin, qmax)

    assert keys("3.7", wrong) == ["mistake: sends ties up, and leaves out the zero point"]


def test_two_misconceptions_at_a_time_are_named() -> None:
    def wrong(x, levels):
        chosen = [x[(x[..., None] - levels).abs().argmin(-1) == k] for k in range(len(levels))]
        return torch.stack([values.median() for values in chosen if len(values)])

    found = keys("6.2", wrong)
    assert found == ["mistake: leaves empty clusters out, and takes the median"]


def test_the_collector_of_garbage_takes_no_time_of_a_search() -> None:
    collects = []

    def wrong(*args):
        collects.append(gc.isenabled())
        return 0, 0

    known = replace(EXERCISES["1.1"].misconceptions[0], wrong=wrong)
    exercise = replace(EXERCISES["1.1"], misconceptions=(known,))
    cases = exercise.draw(NOTEBOOK_SEED)
    outcomes = call_all(lambda *args: (0, 0), cases)
    assert judge(exercise, cases, outcomes).diagnosis == known
    assert not any(collects)
    assert gc.isenabled()


def test_results_in_another_order_are_named() -> None:
    reference = EXERCISES["1.2"].reference
    assert keys("1.2", lambda *args: reference(*args)[::-1]) == ["result: order"]


def test_two_calls_that_agree_by_chance_name_no_cause() -> None:
    found = keys("1.3", lambda x, *grid: torch.zeros_like(x).int())
    assert [key for key in found if not key.startswith(("contrast", "numbers"))] == []


def test_an_error_is_explained() -> None:
    assert "take the magnitude" in meaning("ValueError: math domain error\nat line 3")
    assert meaning("OddError: nothing known") == ""


@pytest.mark.parametrize("value", [2**126, -(2**127), None, "127", (2**126,)])
def test_a_result_that_no_array_holds_is_no_fault_of_the_diagnosis(value) -> None:
    assert "stored" not in " ".join(keys("1.3", lambda *args: value))


def test_what_is_nan_for_another_reason_hides_no_slip() -> None:
    def means_of_parts(x, scale, zero_point, qmin, qmax):
        q = (torch.round(x / scale) + zero_point).clamp(qmin, qmax)
        squared = (x - (q - zero_point) * scale) ** 2
        clipped = (x < (qmin - zero_point) * scale) | (x > (qmax - zero_point) * scale)
        clipping, rounding = squared[clipped].mean(), squared[~clipped].mean()
        sqnr = 10 * torch.log10((x**2).mean() / (clipping + rounding))
        return float(clipping), float(rounding), float(sqnr)

    assert "mistake: averages each error over its own values only" in keys("1.7", means_of_parts)


def test_two_slips_of_the_pen_with_the_same_results_are_both_said() -> None:
    def lower(x: float, exponent_bits: int, mantissa_bits: int) -> float:
        least = 1 - 2 ** (exponent_bits - 1)
        _, exponent = math.frexp(max(abs(x), 2.0**least))
        return 2.0 ** (exponent - 1 - mantissa_bits)

    (found,) = keys("0.5", lower)
    assert " or " in found
    assert "1 - bias -> -bias" in found


def test_codes_turned_back_are_told_from_codes() -> None:
    quantize = EXERCISES["1.3"].reference
    found = keys("1.3", lambda x, s, z, low, high: (quantize(x, s, z, low, high) - z) * s)
    assert found == ["result: real numbers for codes"]


def test_a_library_with_another_order_of_arguments_is_named() -> None:
    fold = EXERCISES["4.1"].reference
    found = keys(
        "4.1", lambda w, b, mean, var, gamma, beta, eps: fold(w, b, mean, var, beta, eps, gamma)
    )
    assert found == ["argument: `gamma`, `beta`, `eps` in another order"]


def test_bits_that_no_byte_has_are_no_fault_of_the_diagnosis() -> None:
    fields = torch.tensor([256, 64, 16, 4, 1])
    assert keys("6.11", lambda trits: (trits.long() * fields).sum(1))


def test_guesses_warn_nobody(recwarn) -> None:
    perplexity = EXERCISES["7.1"].reference
    keys("7.1", lambda logits, tokens: perplexity(logits.softmax(-1), tokens))
    assert list(recwarn) == []


def test_a_shift_that_is_missing_is_counted() -> None:
    fields = EXERCISES["0.2"].reference
    found = keys("0.2", lambda pattern: (fields(pattern)[0] << 31, *fields(pattern)[1:]))
    assert found == ["result: sign shifted by 31"]


def found_in(exercise_id: str, code: str) -> list[str]:
    """Return the keys of what a notebook's card says of an answer cell."""
    exercise = EXERCISES[exercise_id]
    names = around(int(exercise_id.split(".")[0]))
    return run(Answer(exercise, "wrong", "", code, ()), names).keys


def test_two_slips_in_two_places_are_both_shown() -> None:
    code = """def float_value(sign, exponent, mantissa, exponent_bits, mantissa_bits):
    bias = 2 ** (exponent_bits - 1) - 1
    if exponent == 0:
        return (-1) ** sign * mantissa / 2**mantissa_bits * 2.0 ** (bias - 1)
    return (-1) ** sign * (1 + mantissa / 2**mantissa_bits) * 2.0 ** (bias - exponent)
"""
    (found,) = found_in("0.3", code)
    assert found.startswith("repair: ")
    assert " and " in found


def test_a_change_that_mends_a_part_of_the_calls_is_shown() -> None:
    code = """def float_gap(x, exponent_bits, mantissa_bits):
    bias = 2 ** (exponent_bits - 1) - 1
    _, e = math.frexp(x)
    return 2.0 ** (max(e, 1 - bias) - mantissa_bits)
"""
    (found,) = found_in("0.5", code)
    assert found.startswith("repair: ")
    assert found.endswith(" in part")


def test_an_argument_that_the_right_code_needs_no_longer_is_asked_for() -> None:
    code = "def float_gap(x, exponent_bits, mantissa_bits):\n    return math.ulp(abs(x))\n"
    assert found_in("0.5", code)[0] == "answer: never reads exponent_bits, mantissa_bits"


def test_a_slip_in_some_of_the_cases_is_named_with_them() -> None:
    found = keys("0.7", lambda value, bits: value + 2**bits)
    assert found == ["result: plus `2**bits`, where `value` is not negative"]


def test_a_slip_in_some_of_the_numbers_is_named_with_them() -> None:
    gradient = EXERCISES["5.3"].reference

    def turned_round(x, *args):
        right = gradient(x, *args)
        return torch.where(right == 0, -args[-1], right)

    assert keys("5.3", turned_round) == ["result: minus `dy`, for those that should be 0"]


def test_which_numbers_are_wrong_is_said() -> None:
    quantize = EXERCISES["1.3"].reference

    def odd(x, *grid):
        q = quantize(x, *grid)
        return torch.where(q < 0, q * q % 7 - 3, q)

    assert "contrast" in keys("1.3", odd)


def test_few_digits_are_named() -> None:
    def half(q, scale, zero_point):
        return ((q.half() - zero_point) * scale).float()

    assert keys("1.4", half) == ["numbers: float16"]


def test_right_numbers_in_another_order_are_named() -> None:
    columns = EXERCISES["3.10"].reference

    def turned(*args):
        right = columns(*args)
        return right.t().flip(1).reshape(right.shape)

    assert keys("3.10", turned) == ["result: in another order"]


def test_a_shape_that_an_argument_has_is_named() -> None:
    groups = EXERCISES["1.9"].reference

    def spread(w, group_size, bits):
        q, scale = groups(w, group_size, bits)
        wide = scale.repeat_interleave(group_size, 1)[:, : w.shape[1]]
        return q, wide * (1 + torch.rand_like(wide))

    assert "shape" in keys("1.9", spread)


def test_what_may_be_taken_for_a_tie_contradicts_nothing() -> None:
    def wrapped(x, scale, zero_point, qmin, qmax):
        q = torch.round(x.double() / scale) + zero_point
        return (qmin + (q - qmin) % (qmax - qmin + 1)).long()

    assert keys("1.3", wrapped) == ["result: wrapped into the range"]


def test_no_change_is_tried_that_may_take_all_memory() -> None:
    code = """def bucket_counts(batches, bits):
    counts = torch.zeros(2**bits)
    for x in batches:
        pattern = x.reshape(-1).view(torch.int32).long() & 0xFFFFFFFF
        counts += torch.bincount(pattern >> (32 - bits), minlength=2**bits)
    return counts / 3
"""
    (tree,) = ast.parse(code).body
    tried = [edit.after for edit in edits(tree)]
    assert "pattern << 32 - bits" not in tried
    assert "pattern" not in [
        edit.after for edit in edits(tree) if edit.before == "pattern >> 32 - bits"
    ]
    assert len(tried) > 20


@pytest.mark.parametrize(
    ("code", "endless"),
    [
        ("errors = []\n    for a in alphas:\n        errors.append(a)", False),
        ("errors = alphas\n    for a in alphas:\n        errors.append(a)", True),
        ("errors = []\n    for a in errors:\n        errors += [a]", True),
        ("errors = []\n    for i, a in enumerate(alphas):\n        alphas.insert(i, a)", True),
        ("errors = 0\n    for a in range(errors):\n        errors += a", False),
    ],
)
def test_the_reference_is_not_changed_to_a_loop_that_never_ends(code: str, endless: bool) -> None:
    (tree,) = ast.parse(f"def f(alphas):\n    {code}\n    return errors").body
    assert grows_what_it_reads(tree) is endless


def test_no_reference_is_taken_for_a_loop_that_never_ends() -> None:
    trees = [
        tree_of(function)
        for number in registry.STEMS
        for exercise in registry.exercises(number)
        for function in reachable(exercise.reference).values()
    ]
    assert len(trees) > 150
    assert not [tree.name for tree in trees if grows_what_it_reads(tree)]


def test_a_call_that_cannot_be_stopped_gives_the_screen_back(capsys, monkeypatch) -> None:
    monkeypatch.setattr("labkit.checks.calling._stop", lambda thread: None)
    release = threading.Event()
    outcomes = call_all(lambda: release.wait(30), [Case("waits", ())], 0.05)
    print("seen")
    release.set()
    assert outcomes[0].status == "stopped"
    assert capsys.readouterr().out == "seen\n"


def card_of(exercise_id: str, code: str) -> str:
    """Return all that a notebook's card says of an answer cell."""
    exercise = EXERCISES[exercise_id]
    names = around(int(exercise_id.split(".")[0]))
    return repr(verdict_card(run(Answer(exercise, "wrong", "", code, ()), names).verdict))


def test_no_number_is_said_to_be_in_code_that_has_it_not() -> None:
    code = """def round_to_bf16(pattern):
    return (pattern >> 16) + (pattern & 0xFFFF != 0)
"""
    card = card_of("0.6", code)
    assert "your code has" not in card


def test_what_the_reference_alone_names_is_said_of_no_part_of_the_calls() -> None:
    code = """def pack(q, bits):
    q = q.to(torch.int32)
    if len(q) % 2:
        q = torch.cat([q, q.new_zeros(1)])
    q = q & 2**bits - 1
    return (q[0::2] | (q[1::2] << bits)).to(torch.uint8)
"""
    assert [key for key in found_in("1.10", code) if key.startswith("variant")] == []


def test_plain_numbers_of_code_that_raises_do_not_wrap_round() -> None:
    code = """def network_bytes(shapes, bits):
    return sum(-(-shape[0] * shape[1] * bits // 8) for shape in shapes)
"""
    assert [key for key in found_in("0.8", code) if key.startswith("result")] == []


def test_everywhere_is_said_of_most_numbers_of_most_calls_alone() -> None:
    code = """def add_codes(q_a, a, q_b, b, y, relu):
    (sa, za), (sb, zb), (sy, zy) = a, b, y
    q = torch.round((sa * (q_a.double() - za) + sb * (q_b.double() - zb)) / sy) + zy
    return q.clamp(min=zy).long() if relu else q.clamp(0, 255).long()
"""
    assert "everywhere" not in card_of("4.5", code)
    assert "everywhere" in card_of("0.5", "def float_gap(x, e, m):\n    return 1 / m + abs(x)\n")


def test_one_shape_beside_errors_is_no_rule() -> None:
    assert "shape" not in found_in("3.2", "def gemm(a, b):\n    return a.int() * b.int()\n")


def test_an_error_is_explained_with_the_numbers_that_are_shown() -> None:
    code = "def fold_zero_point(b, q, z):\n    return b - z * q.sum(0)\n"
    assert "tensor a (2) must match the size of tensor b (4)" in card_of("3.4", code)
    assert "2 numbers meet 4" in card_of("3.4", code)


def test_code_that_raises_leaves_out_no_step_of_the_reference() -> None:
    code = "def correct_bias(bias, y, got):\n    return bias - (got - y).mean(0)\n"
    assert [key for key in found_in("4.8", code) if key.startswith("variant")] == []


def test_a_change_that_mends_every_call_is_said_before_an_argument_too_little() -> None:
    code = "def twos_complement(value, bits):\n    return value & 2**bits\n"
    assert found_in("0.7", code) == ["repair: 2 ** bits -> 2 ** bits - 1"]


def test_a_table_with_one_wrong_number_is_no_test_that_always_says_no() -> None:
    code = """def percentile_is_right(percentile_threshold):
    values, counts = torch.tensor([0.25, 1.5, 8.0]), torch.tensor([20, 50, 30])
    for percent, place in {1: 0, 50: 1, 69: 2}.items():
        if float(percentile_threshold(values, counts, percent)) != float(values[place]):
            return False
    return True
"""
    assert found_in("2.11", code) == ["test: refuses, comparing"]
    assert "mistake: always says no" in found_in(
        "2.11", "def percentile_is_right(f):\n    return 0"
    )


def test_ternary_weights_with_a_scale_for_each_column_are_not_called_real() -> None:
    code = """def ternary_network(w, x, labels):
    scale = 1.4 * w.abs().mean(0)
    return torch.round(w / scale).clamp(-1, 1) * scale
"""
    assert "one S for each column" in card_of("5.9", code)


def test_numbers_in_a_list_are_looked_at_as_well() -> None:
    exercise = EXERCISES["1.3"]

    def up(x, scale, zero_point, qmin, qmax):
        return torch.ceil(x / scale + zero_point).clamp(qmin, qmax).int()

    def in_a_list(*args):
        return up(*args).tolist()

    assert keys("1.3", in_a_list) == keys("1.3", up) != []
    assert keys("1.3", lambda *args: exercise.reference(*args).tolist()) == []


def test_a_contrast_that_few_calls_support_is_not_said() -> None:
    exercise = EXERCISES["6.3"]
    cases = exercise.draw(NOTEBOOK_SEED)
    wrong = [i for i, case in enumerate(cases) if case.args[0].ndim > 1]
    assert len(wrong) == 2
    outcomes = call_all(lambda x, levels: (0.0, 0.0), cases)
    evidence = Evidence(exercise, cases, outcomes, [exercise.reference(*c.args) for c in cases])
    assert parting(evidence, wrong) is None
    assert contrast(evidence, wrong).startswith("Only this goes wrong")


def test_of_contrasts_a_special_case_is_said() -> None:
    exercise = EXERCISES["3.10"]
    cases = exercise.draw(NOTEBOOK_SEED)
    wrong = [i for i, case in enumerate(cases) if case.args[3] == 0]
    outcomes = call_all(lambda *args: torch.zeros(1), cases)
    evidence = Evidence(exercise, cases, outcomes, [exercise.reference(*c.args) for c in cases])
    assert parting(evidence, wrong) == ("`padding` is 0", "`padding` is not 0")


def test_a_number_has_no_second_dimension() -> None:
    found = card_of("6.1", "def assign_codes(x, levels):\n    return 0 * len(x)\n")
    assert "dimension" not in found
