"""All explanations that a wrong answer may have, each made once, whoever asks for them."""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from labkit.checks.diagnosis.evidence import Evidence, Explanation
from labkit.checks.diagnosis.explanations.arguments import Arguments
from labkit.checks.diagnosis.explanations.results import Results
from labkit.checks.diagnosis.explanations.variants import Variants

OF_RESULTS = 0.6
"""The share of the time for guesses that they may take; the rest is for the answer's own code."""

T = TypeVar("T")


class _Kept(Generic[T]):
    """What a generator gives, for several readers; it goes on where the first of them stops."""

    def __init__(self, source: Iterable[T]) -> None:
        self._source, self._found = iter(source), list[T]()

    def __iter__(self) -> Iterator[T]:
        place = 0
        while True:
            if place == len(self._found):
                try:
                    self._found.append(next(self._source))
                except StopIteration:
                    return
            yield self._found[place]
            place += 1


class Sources:
    """Explanations as the calls of one answer invite them, as long as there is time."""

    def __init__(self, evidence: Evidence) -> None:
        self._budget = evidence.budget
        self._arguments = _Kept(enumerate(Arguments(evidence).explanations()))
        self._results = _Kept(enumerate(Results(evidence).explanations()))
        self._variants = _Kept(Variants(evidence).explanations())

    def arguments(self) -> Iterator[tuple[int, Explanation]]:
        """Give slips in what goes in, each with its rank."""
        yield from self._in_time(self._arguments)

    def results(self) -> Iterator[tuple[int, Explanation]]:
        """Give slips in what comes out."""
        yield from self._in_time(self._results)

    def variants(self) -> Iterator[tuple[int, Explanation]]:
        """Give slips of the pen in the reference."""
        yield from self._in_time(self._variants)

    def _in_time(
        self, ranked: Iterable[tuple[int, Explanation]]
    ) -> Iterator[tuple[int, Explanation]]:
        for rank, explanation in ranked:
            if self._budget.over(OF_RESULTS):
                return
            yield rank, explanation
