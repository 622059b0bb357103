"""How far a student is in the course: one card about all labs."""

from labkit.checks import registry
from labkit.checks.card import Card, Table, Text, show
from labkit.checks.messages import points
from labkit.checks.progress import Progress

BAR = 10  # characters


def progress() -> None:
    """Show the points of every lab, the best reached, and which exercise comes next."""
    show(overview_card())


def bar(share: float) -> str:
    """Draw a share between 0 and 1; full and empty only at the very ends."""
    full = min(max(round(share * BAR), share > 0), BAR - (share < 1))
    return "█" * full + "░" * (BAR - full)


def overview_card() -> Card:
    """Build the card of `progress`."""
    rows, ahead, problems = [], [], []
    total, most = 0.0, 0
    for number in registry.STEMS:
        exercises, kept = registry.exercises(number), Progress.of_lab(number)
        open_ones = [e for e in exercises if kept.best.get(e.id, 0.0) < e.points]
        reached = sum(kept.best.get(e.id, 0.0) for e in exercises)
        possible = sum(e.points for e in exercises)
        following = f"{open_ones[0].id} {open_ones[0].title}" if open_ones else "✓ all passed"
        title = f"{number} {registry.title(number)}"
        score = f"{points(reached)} of {possible}"
        rows.append((title, bar(reached / possible), score, following))
        ahead += [f"lab {number}, exercise {e.id}: {e.title}" for e in open_ones[:1]]
        problems += [Text(f"Lab {number}: {kept.problem}")] if kept.problem else []
        total, most = total + reached, most + possible
    table = Table(("lab", "done", "points", "next exercise"), tuple(rows))
    step = f"Go on with {ahead[0]}." if ahead else "You have passed every exercise there is."
    tone = "plain" if ahead else "good"
    return Card(
        tone, f"The course · {points(total)} of {most} points", (table, Text(step), *problems)
    )
