"""What happens without a word in an answer's calls, and whether that is why they are wrong."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from labkit.checks.diagnosis.calls import result_of
from labkit.checks.diagnosis.code.cell import Cell
from labkit.checks.diagnosis.code.further import Further
from labkit.checks.diagnosis.code.remark import Remark
from labkit.checks.diagnosis.code.spots import Spot
from labkit.checks.diagnosis.code.trials import FORM, Trials
from labkit.checks.diagnosis.code.watching import (
    ALONG_COLUMNS,
    BEGINS_AT_ZERO,
    BEYOND,
    CUT,
    DROPS,
    ENDS_AT_ZERO,
    KEPT_NARROW,
    NOT_ROUNDED,
    OF_NOTHING,
    SHORTENED,
    TOWARDS_ZERO,
    WRAPS,
    Happening,
    Place,
    Watch,
    watched,
)
from labkit.checks.values import enumerated, shortened

LONGEST = 60
FAR = 1e15
MOST_SPOTS = 8
NOT_TRIED = (OF_NOTHING, BEYOND, KEPT_NARROW)
"""What cannot be done otherwise: said where it happens in calls that go wrong, and in no other."""

WORDS = {
    WRAPS: "{where}, {code} is computed in {dtype} and wraps round: where {meant} belongs comes "
    "{came}. Convert what goes in, not what comes out, to a wider dtype such as int64: then "
    "{right}.",
    CUT: "{where}, {code} puts whole numbers into {dtype} that do not fit: {meant} becomes {came}. "
    "With a wider dtype there, such as int64, {right}.",
    ENDS_AT_ZERO: "{where}, {code} is empty for a 0, for -0 is 0, the beginning. Where it should "
    "go to the very end then, {right}: count the end from the front.",
    BEGINS_AT_ZERO: "{where}, {code} takes everything for a 0, for -0 is 0, the beginning. Where "
    "it should take nothing then, {right}: count from the front.",
    TOWARDS_ZERO: "{where}, {code} cuts decimals off towards 0: {given} becomes {came}. With "
    "`floor` there, which always goes down, {right}.",
    NOT_ROUNDED: "{where}, {code} cuts decimals off: {given} becomes {came}. Rounded to the "
    "nearest there, {right}.",
    SHORTENED: "{where}, {code} keeps fewer digits than there are: {given} becomes {came} in "
    "{dtype}. Kept in float64, {right}.",
    BEYOND: "{where}, {code} goes beyond int64 and wraps round: {came} comes, where {meant} "
    "belongs. Shift or divide before, or compute in Python's own integers.",
    KEPT_NARROW: "{where}, {code} puts {given} into {dtype}, where it does not fit and becomes "
    "{came}. Begin with a tensor of a wider dtype, such as int64.",
    ALONG_COLUMNS: "{where}, {code} lines one number a row up with the columns. With `[:, None]` "
    "behind it, which gives each row its own, {right}.",
    DROPS: "{where}, {code} drops the remainder: {meant} becomes {came}. With `/` there {right}.",
    OF_NOTHING: "{where}, `sum(...)` has nothing to add up in such a call, and then gives the int "
    "0, whatever it adds elsewhere. Treat that apart, or begin with what 0 should be: "
    "`sum(..., start)`.",
}


@dataclass(frozen=True)
class Found:
    """What happens in some places, and how many of the wrong calls it accounts for."""

    spots: Sequence[Spot]
    what: Happening
    mended: int


@dataclass
class Inquest:
    """The calls of an answer, made again with its expressions watched.

    Attributes
    ----------
    cell : Cell
        The code.
    trials : Trials
        The calls.
    further : Further
        More calls than those of the check.
    found : list of Found
        What accounts for wrong calls, most of them first.
    """

    cell: Cell
    trials: Trials
    further: Further
    found: list[Found] = field(default_factory=list)

    @property
    def off(self) -> set[int]:
        """The calls that are wrong in more than their form."""
        return {i for i in self.trials.wrong if min(self.trials.levels[i]) < FORM}

    def run(self) -> None:
        """Watch all calls, then do what happened as it was meant."""
        functions, watch = watched(self.cell.functions)
        function = self.cell.defined(functions, watch.names()) if watch.spots else None
        if function is None:
            return
        seen: dict[Place, dict[int, Happening]] = {}
        for i in self.trials.calls:
            watch.seen.clear()
            result_of(function, self.trials.evidence.cases[i].args)
            for place, happening in watch.seen.items():
                seen.setdefault(place, {})[i] = happening
        places = [place for place in sorted(seen) if self.off & set(seen[place])]
        for group in _groups(places[:MOST_SPOTS]):
            what = _first(seen[group[0]], self.trials.calls)
            if what.kind in NOT_TRIED:
                calls = set(seen[group[0]])
                mended = len(calls) if calls <= self.off else 0
            else:
                mended = self._mended(function, watch, set(group))
            if mended:
                self.found.append(Found([watch.spots[k] for k, _ in group], what, mended))
        self.found.sort(key=lambda found: (-found.mended, len(found.spots)))

    def _mended(self, function: Callable[..., Any], watch: Watch, spots: set[Place]) -> int:
        """Return how many wrong calls are right with places as they are meant; 0 if it spoils."""
        watch.as_meant = spots
        try:
            right = {i for i in self.trials.calls if self.trials.closeness(function, i) >= FORM}
            if len(right) == len(self.trials.calls) and not self.further.hold(function, FORM):
                return 0
        finally:
            watch.as_meant = set()
        spoiled = set(self.trials.calls) - self.trials.wrong - right
        return 0 if spoiled else len(right & self.off)

    def remark(self) -> Remark | None:
        """Return what is to be said."""
        if not self.found:
            return None
        best = self.found[0]
        whole, tried = best.mended == len(self.off), best.what.kind not in NOT_TRIED
        places = dict.fromkeys((spot.source, spot.line) for spot in best.spots)
        lines = dict.fromkeys(f"{line}" for _, line in places)
        sources = dict.fromkeys(f"`{shortened(source, LONGEST)}`" for source, _ in places)
        where = f"In line{'s' * (len(lines) > 1)} {enumerated([*lines])} of the cell"
        right = "every call would be right"
        if not whole:
            right = f"{best.mended} of the {len(self.off)} calls that go wrong would be right"
        text = WORDS[best.what.kind].format(
            where=where,
            code="each of " * (len(sources) > 1) + enumerated([*sources]),
            dtype=best.what.dtype,
            meant=_written(best.what.meant),
            came=_written(best.what.came),
            given=_written(best.what.given),
            right=right,
        )
        key = f"answer: {best.what.kind}, {next(iter(places))[0]}"
        some_right = len(self.off) < len(self.trials.calls)
        return Remark(key, text, whole and (tried or some_right), mends=whole and tried)


def _written(number: Any) -> str:
    if number is None:
        return ""
    if isinstance(number, float) and (number % 1 or abs(number) > FAR):
        return f"{number:.10g}"
    return f"{number:.0f}"


def _first(by_call: dict[int, Happening], calls: Sequence[int]) -> Happening:
    """Return what happened in the first of some calls in which it did."""
    return next(by_call[i] for i in calls if i in by_call)


def _groups(places: Sequence[Place]) -> Iterator[list[Place]]:
    """Give each place by itself, then those where the same happens together."""
    yield from ([place] for place in places)
    for kind in dict.fromkeys(kind for _, kind in places):
        alike = [place for place in places if place[1] == kind]
        if len(alike) > 1 and kind not in NOT_TRIED:
            yield alike
