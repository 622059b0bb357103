"""The bar that the benchmarks set: what it reads in the stored tables, and when it fails."""

import check
import pytest

STORED = {name: (check.HERE / f"{name}.md").read_text("utf-8") for name in check.BENCHMARKS}


@pytest.mark.parametrize("name", check.BENCHMARKS)
def test_every_stored_table_has_ratios_and_reads_the_same_when_measured_again(name):
    stored = check.ratios(STORED[name])
    assert stored
    assert all(ratio > 0 and place.row for place, ratio in stored.items())
    assert check.fallen(stored, lambda: stored) == (len(stored), {})


def test_ratios_are_those_of_labkit_on_both_kinds_of_chip():
    stored = check.ratios(STORED["kernels"])
    chips = {place.chip for place in stored}
    assert chips == set(check.KINDS.values())
    assert all("labkit" in place.row for place in stored)
    rivals = check.ratios(STORED["calibration"])
    assert not any("labkit" in place.row for place in rivals)
    assert any("torch.ao" in place.row for place in rivals)


def test_a_ratio_fails_that_fell_by_more_than_a_third_in_every_run():
    stored = check.ratios(STORED["ptq"])
    slow = next(iter(stored))
    enough = {place: 0.7 * ratio for place, ratio in stored.items()}
    below = enough | {slow: 0.6 * stored[slow]}
    assert check.fallen(stored, lambda: enough)[1] == {}
    assert list(check.fallen(stored, lambda: below)[1]) == [slow]
    runs = iter([below, below, enough])
    assert check.fallen(stored, lambda: next(runs))[1] == {}


def test_a_row_that_is_gone_fails():
    stored = check.ratios(STORED["ptq"])
    gone, *_ = stored
    rest = {place: ratio for place, ratio in stored.items() if place != gone}
    assert list(check.fallen(stored, lambda: rest)[1]) == [gone]


def test_only_figures_of_the_same_kind_of_chip_are_compared():
    stored = check.ratios(STORED["kernels"])
    older = {p: r / 9 for p, r in stored.items() if p.chip == "a chip that saturates"}
    compared, below = check.fallen(stored, lambda: older)
    assert compared == len(older) == len(below)
    with pytest.raises(ValueError, match="measured on a chip that saturates, and stored"):
        check.fallen({p: r for p, r in stored.items() if p not in older}, lambda: older)
