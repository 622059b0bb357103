"""What all the names that an answer gave have in common: facts, where no known mistake fits.

One wrong name says little: it may be what is left over when nothing fits. Over all calls it shows
which name is given too often, which one never, and which two are exchanged. Where the code can be
read, it shows too what was asked about the right name (`labkit.checks.diagnosis.judging.deciding`).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from labkit.checks.calling import BROKEN, Outcome
from labkit.checks.diagnosis.facts.errors import meaning
from labkit.checks.diagnosis.finding import MOST, Finding
from labkit.checks.values import Plain, enumerated

HINTS = 2
ALWAYS_HOLDS = "Look at its first condition: it always holds, or nothing after it ever does."
LEFT_OVER = (
    "If this is what it says when nothing else fits, then what it looks for in those is not there, "
    "or is compared too strictly. If it is a condition, that holds for them as well: ask for them "
    "first, or ask for more."
)
RUN = 3  # right results in a row, and then as many wrong ones: that is no chance


@dataclass(frozen=True)
class Named:
    """What was asked for and what was said, call by call.

    Attributes
    ----------
    signs : dict
        For each name that may be given how its output is known; "" for none.
    wanted, got : sequence
        What each call should have given, and what it gave.
    outcomes : sequence of Outcome
        How each call ended.
    why : callable
        ``why(i)`` returns what the code of call i asks about the right name; "" if that is not
        known.
    where : callable
        ``where(i)`` returns in which line the name of call i was given; "" if that is not known.
    """

    signs: dict[str, str]
    wanted: Sequence[str]
    got: Sequence[Plain]
    outcomes: Sequence[Outcome]
    why: Callable[[int], str]
    where: Callable[[int], str]

    def calls(self, wanted: str, got: Plain) -> list[int]:
        """Return the calls that should have given one name and gave another."""
        pairs = enumerate(zip(self.wanted, self.got, strict=True))
        return [i for i, (w, g) in pairs if w == wanted and isinstance(g, str) and g == got]

    def told(self, wanted: str, calls: Sequence[int]) -> str:
        """Return all that is known about a name that was not given."""
        return " ".join(filter(None, (self.why(calls[0]), self.signs[wanted])))


def one_name(named: Named) -> tuple[Finding, ...]:
    """Say how the names that were given differ from the right ones, two facts at most."""
    always = [Finding(f"names: {key}", text, cause=False) for key, text in _always(named)]
    if always:
        return tuple(always)
    pairs = Counter(
        (w, g)
        for w, g in zip(named.wanted, named.got, strict=True)
        if isinstance(g, str) and w != g and g in named.signs
    )
    found = [
        *_raises(named),
        *_nothing(named),
        *_form(named),
        *_misspelt(named),
        *_state(named),
        *_exchanged(named, pairs),
        *_too_often(named, pairs),
        *_missed(named, pairs),
    ]
    return tuple(Finding(f"names: {key}", text, cause=False) for key, text in found[:MOST])


def _raises(named: Named) -> Iterator[tuple[str, str]]:
    """Say for which outputs the answer ends in an error."""
    broken = [i for i, outcome in enumerate(named.outcomes) if outcome.status in BROKEN]
    if not broken:
        return
    names = list(dict.fromkeys(named.wanted[i] for i in broken))
    asked = [w for i, w in enumerate(named.wanted) if i not in broken]
    which = "every output" if not asked else f"{len(broken)} of {len(named.wanted)} outputs"
    if asked and not set(names) & set(asked):
        which = f"outputs that are {_listed(names)}"
    text = f"Your code ends in an error for {which}. {meaning(named.outcomes[broken[0]].message)}"
    yield "raises", text.strip()


def _nothing(named: Named) -> Iterator[tuple[str, str]]:
    """Say for which outputs the answer ends without a `return`."""
    lost = [
        i
        for i, outcome in enumerate(named.outcomes)
        if outcome.status == "returned" and outcome.value is None
    ]
    if lost and len(lost) == len(named.got):
        printed = any(name in outcome.printed for name in named.signs for outcome in named.outcomes)
        told = "It prints the name: return it." if printed else "Is the `return` missing?"
        yield "nothing", f"Your code returns nothing for any output. {told}"
    elif lost:
        names = list(dict.fromkeys(named.wanted[i] for i in lost))
        yield (
            f"nothing for {', '.join(names)}",
            f"For outputs that are {_listed(names)} your code returns nothing: none of its "
            "conditions holds, and it ends without a `return`. "
            + (named.told(names[0], lost) or "Is a condition too strict?"),
        )


def _misspelt(named: Named) -> Iterator[tuple[str, str]]:
    """Say which texts are no names, and which one was meant."""
    others = dict.fromkeys(g for g in named.got if isinstance(g, str) and g not in named.signs)
    meant: dict[str, str] = {}
    for text in others:
        calls = [i for i, got in enumerate(named.got) if isinstance(got, str) and got == text]
        wanted = list(dict.fromkeys(named.wanted[i] for i in calls))
        if len(wanted) == 1 and _words(text) & _words(wanted[0]):
            meant[text] = wanted[0]
            continue
        yield (
            f"no name: {text}",
            f'Outputs that are {_listed(wanted)} are called "{text}", which is none of the names. '
            f"{named.told(wanted[0], calls)}".strip(),
        )
    if meant:
        pairs = ", ".join(f'"{text}" for "{name}"' for text, name in meant.items())
        yield (
            f"no name: {', '.join(meant)}",
            f"Your code says {pairs}: write the names as they stand in the list.",
        )


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


def _form(named: Named) -> Iterator[tuple[str, str]]:
    """Say that a name comes inside of something."""
    inside = [g for g in named.got if isinstance(g, tuple)]
    if inside:
        yield "a list", "Return the name itself, not a list with it."
    if any(isinstance(g, int) and not isinstance(g, bool) for g in named.got):
        yield "a number", "Return the name itself, not its place in a list."


def _always(named: Named) -> Iterator[tuple[str, str]]:
    got = named.got
    if isinstance(got[0], str) and all(isinstance(g, str) and g == got[0] for g in got):
        wrong = next(i for i, wanted in enumerate(named.wanted) if wanted != got[0])
        told = " ".join(filter(None, (named.where(wrong), named.why(wrong))))
        yield (
            f"always {got[0]}",
            f'Your code answers "{got[0]}" for every output, and it is right for those that are. '
            + (told or ALWAYS_HOLDS),
        )


def _state(named: Named) -> Iterator[tuple[str, str]]:
    """Say that something is kept from call to call."""
    right = [isinstance(g, str) and w == g for w, g in zip(named.wanted, named.got, strict=True)]
    first = right.index(False) if False in right else len(right)
    before, after = set(named.wanted[:first]), set(named.wanted[first:])
    if RUN <= first <= len(right) - RUN and not any(right[first:]) and before & after:
        yield (
            "state",
            f"The first {first} outputs are named right and all later ones wrong. Does your code "
            "keep something from one call to the next?",
        )


def _exchanged(named: Named, pairs: Counter[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    asked, order = Counter(named.wanted), list(named.signs)
    for (one, other), times in list(pairs.items()):
        both = times == asked[one] and pairs.get((other, one)) == asked.get(other)
        if both and order.index(one) < order.index(other):
            del pairs[one, other], pairs[other, one]
            why = named.why(named.calls(one, other)[0]) or named.why(named.calls(other, one)[0])
            hints = " ".join(filter(None, (why, named.signs[one], named.signs[other])))
            yield (
                f"{one} and {other} exchanged",
                f'Your code exchanges "{one}" and "{other}": every output of the one gets the '
                f"name of the other. {hints}".strip(),
            )


def _too_often(named: Named, pairs: Counter[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Say which name swallows outputs of several others."""
    for name in named.signs:
        taken = [w for w in named.signs if (w, name) in pairs]
        if len(taken) < 2:
            continue
        calls = [named.calls(w, name) for w in taken]
        for w in taken:
            del pairs[w, name]
        unknown = not any(named.why(some[0]) for some in calls)
        where = named.where(calls[0][0]) or LEFT_OVER * unknown
        told = [named.told(w, some) for w, some in zip(taken[:HINTS], calls, strict=False)]
        yield (
            f"{name} too often",
            f'Your code says "{name}" of outputs that are {_listed(taken)}. '
            f"{' '.join(filter(None, (where, *told)))}",
        )


def _missed(named: Named, pairs: Counter[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    asked = Counter(named.wanted)
    for one in dict.fromkeys(wanted for (wanted, _), _ in pairs.most_common()):
        given = [name for name in named.signs if (one, name) in pairs]
        called = " or ".join(f'"{name}"' for name in given)
        what = (
            f'Every output that is "{one}" is called {called}'
            if sum(pairs[one, name] for name in given) == asked[one]
            else f'Some outputs that are "{one}" are called {called}, others are not'
        )
        calls = named.calls(one, given[0])
        told = " ".join(filter(None, (named.where(calls[0]), named.told(one, calls))))
        yield f"{one} called {', '.join(given)}", f"{what}. {told or named.signs[given[0]]}".strip()


def _listed(names: Sequence[str]) -> str:
    return enumerated([f'"{name}"' for name in names])
