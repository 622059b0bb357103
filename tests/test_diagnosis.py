"""What a card says about a slip: the share that is named, and the sources one by one."""

import math
from dataclasses import replace

import pytest
import torch
from diagnosis import answers, around, row, run

from labkit.checks import registry
from labkit.checks.calling import call_all
from labkit.checks.diagnosis.arguments import Arguments
from labkit.checks.diagnosis.errors import meaning
from labkit.checks.diagnosis.evidence import Evidence
from labkit.checks.lab import NOTEBOOK_SEED
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
