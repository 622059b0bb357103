"""What all the names that an answer gave have in common: facts, where no known mistake fits.

One wrong name says little: it may be what is left over when nothing fits. Over all calls it shows
which name is given too often, which one never, and which two are exchanged.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from labkit.checks.diagnosis.diagnosis import MOST, Finding
from labkit.checks.values import Plain

HINTS = 2
RUN = 3  # right results in a row, and then as many wrong ones: that is no chance


def one_name(
    names: Sequence[str], signs: Sequence[str], wanted: Sequence[str], got: Sequence[Plain]
) -> tuple[Finding, ...]:
    """Say how the names that were given differ from the right ones, two facts at most.

    Parameters
    ----------
    names : sequence of str
        All that may be given.
    signs : sequence of str
        For each name how its output is known; "" for none.
    wanted, got : sequence
        What each call should have given, and what it gave.
    """
    telling = dict(zip(names, signs, strict=True))
    known = [(w, g if isinstance(g, str) else "") for w, g in zip(wanted, got, strict=True)]
    pairs = Counter((w, g) for w, g in known if w != g and g in telling)
    found = [
        *_nothing(wanted, got, telling),
        *_always(got),
        *_state(wanted, got),
        *_exchanged(pairs, Counter(wanted), telling),
        *_too_often(pairs, telling),
        *_missed(pairs, Counter(wanted), telling),
    ]
    return tuple(Finding(f"names: {key}", text, cause=False) for key, text in found[:MOST])


def _nothing(
    wanted: Sequence[str], got: Sequence[Plain], telling: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """Say for which outputs the answer ends without a `return`."""
    lost = list(dict.fromkeys(w for w, g in zip(wanted, got, strict=True) if g is None))
    if all(g is None for g in got):
        yield "nothing", "Your code returns nothing for any output: is the `return` missing?"
    elif lost:
        yield (
            f"nothing for {', '.join(lost)}",
            f"For outputs that are {_listed(lost)} your code returns nothing: none of its "
            "conditions holds, and it ends without a `return`. Either a condition is too strict "
            "(real numbers are hardly ever equal to the last digit), or what it compares with is "
            f"not what that slip gives. {telling[lost[0]]}".strip(),
        )


def _always(got: Sequence[Plain]) -> Iterator[tuple[str, str]]:
    if isinstance(got[0], str) and all(isinstance(g, str) and g == got[0] for g in got):
        yield (
            f"always {got[0]}",
            f'Your code answers "{got[0]}" for every output, and it is right for those that are. '
            "Look at its first condition: it always holds, or nothing after it ever does.",
        )


def _state(wanted: Sequence[str], got: Sequence[Plain]) -> Iterator[tuple[str, str]]:
    """Say that something is kept from call to call."""
    right = [isinstance(g, str) and w == g for w, g in zip(wanted, got, strict=True)]
    first = right.index(False) if False in right else len(right)
    if RUN <= first <= len(right) - RUN and not any(right[first:]):
        yield (
            "state",
            f"The first {first} outputs are named right and all later ones wrong. Does your code "
            "keep something from one call to the next?",
        )


def _exchanged(
    pairs: Counter[tuple[str, str]], asked: Counter[str], telling: dict[str, str]
) -> Iterator[tuple[str, str]]:
    for (one, other), times in list(pairs.items()):
        both = times == asked[one] and pairs.get((other, one)) == asked.get(other)
        if both and list(telling).index(one) < list(telling).index(other):
            del pairs[one, other], pairs[other, one]
            hints = " ".join(filter(None, (telling[one], telling[other])))
            yield (
                f"{one} and {other} exchanged",
                f'Your code exchanges "{one}" and "{other}": every output of the one gets the '
                f"name of the other. {hints}".strip(),
            )


def _too_often(
    pairs: Counter[tuple[str, str]], telling: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """Say which name swallows outputs of several others."""
    for name in telling:
        taken = [w for w in telling if (w, name) in pairs]
        if len(taken) < 2:
            continue
        hints = " ".join([telling[w] for w in taken if telling[w]][:HINTS])
        for w in taken:
            del pairs[w, name]
        yield (
            f"{name} too often",
            f'Your code says "{name}" of outputs that are {_listed(taken)}. If this is what '
            "it says when nothing else fits, then what it looks for in those is not there, or is "
            "compared too strictly. If it is a condition, that holds for them as well: ask for "
            f"them first, or ask for more. {hints}".strip(),
        )


def _missed(
    pairs: Counter[tuple[str, str]], asked: Counter[str], telling: dict[str, str]
) -> Iterator[tuple[str, str]]:
    for (one, other), times in pairs.most_common():
        what = (
            f'Every output that is "{one}" is called "{other}"'
            if times == asked[one]
            else f'Some outputs that are "{one}" are called "{other}", others are not'
        )
        yield f"{one} called {other}", f"{what}. {telling[one] or telling[other]}".strip()


def several_names(
    names: Sequence[str],
    messages: Sequence[str],
    wanted: Sequence[set[str]],
    got: Sequence[Plain],
) -> tuple[Finding, ...]:
    """Say which names are missed and which reported for nothing, and how often; two at most.

    Parameters
    ----------
    names : sequence of str
        All that may be given.
    messages : sequence of str
        For each name what to tell who errs about it.
    wanted, got : sequence
        What each call should have given, and what it gave.
    """
    single = next((g for g in got if isinstance(g, str)), None)
    if single is not None:
        text = (
            f'Your code returns the text "{single}" for some scripts: return a list, ["{single}"], '
            "to which the others can be added."
        )
        return (Finding("names: a text", text, cause=False),)
    lists = [set(g) if isinstance(g, tuple) else None for g in got]
    if all(g is None for g in got):
        text = "Your code returns nothing for any script: is the `return` missing?"
        return (Finding("names: nothing", text, cause=False),)
    pairs = [(w, g) for w, g in zip(wanted, lists, strict=True) if g is not None]
    found = [*_same_list(pairs), *_one_at_most(pairs)]
    errors = []
    for name, message in zip(names, messages, strict=True):
        there = [name in g for w, g in pairs if name in w]
        absent = [name in g for w, g in pairs if name not in w]
        missed, unfounded = there.count(False), absent.count(True)
        if missed:
            some = f"{missed} of {len(there)} scripts that have it"
            which = "every script that has it" if missed == len(there) else some
            errors.append((-missed, f"{name} missed", f'"{name}" is missed in {which}. {message}'))
        if unfounded:
            text = f'"{name}" is reported in {unfounded} of {len(absent)} scripts without it.'
            errors.append((-unfounded, f"{name} unfounded", f"{text} {message}"))
    found += [(key, text) for _, key, text in sorted(errors)]
    return tuple(Finding(f"names: {key}", text, cause=False) for key, text in found[:MOST])


def _same_list(pairs: Sequence[tuple[set[str], set[str]]]) -> Iterator[tuple[str, str]]:
    if pairs and all(g == pairs[0][1] for _, g in pairs):
        yield "always the same", "Your code reports the same for every script."


def _one_at_most(pairs: Sequence[tuple[set[str], set[str]]]) -> Iterator[tuple[str, str]]:
    """Say that the first error that is found ends the search."""
    most = max((len(g) for _, g in pairs), default=0)
    if most == 1 and all(len(g) == min(len(w), 1) and g <= w for w, g in pairs):
        yield (
            "one at most",
            "Your code reports one error at most, where scripts have several: with `elif`, or a "
            "`return` in each branch, it stops looking at the first. Collect them in a list.",
        )


def _listed(names: Sequence[str]) -> str:
    quoted = [f'"{name}"' for name in names]
    return " and ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1])))
