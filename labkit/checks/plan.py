"""How long a lab takes: what its exercises declare, added up, for its core path and for all."""

from labkit.checks import registry
from labkit.checks.card import Card, Table, Text


def minutes(number: int, core: bool = False) -> tuple[int, int]:
    """Return the minutes of a lab's exercises, if you know torch and the first time.

    Parameters
    ----------
    number : int
        Which lab.
    core : bool
        Leave the extras out.
    """
    chosen = [e for e in registry.exercises(number) if not (core and e.extra)]
    return sum(e.minutes[0] for e in chosen), sum(e.minutes[1] for e in chosen)


def plan_card(number: int) -> Card:
    """Build the card of `Lab.plan`."""
    rows = [
        (f"{e.id} {e.title}", "extra" if e.extra else "core", *map(str, e.minutes))
        for e in registry.exercises(number)
    ]
    rows.append(("the core path", "", *map(str, minutes(number, core=True))))
    rows.append(("all exercises", "", *map(str, minutes(number))))
    table = Table(("exercise", "", "minutes if you know torch", "the first time"), tuple(rows))
    note = "Reading comes on top. Where you leave an extra out, the cells below use the reference."
    due = registry.selected(number).due
    when = (Text(f"Hand it in by {due}."),) if due else ()
    return Card("plain", f"Lab {number}: {registry.title(number)}", (*when, table, Text(note)))
