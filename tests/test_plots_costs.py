"""The picture of a budget; the other pictures of costs are tested with those of lab 0."""

import matplotlib.pyplot as plt
import pytest

from labkit import plots

NETWORKS = [("W2", 250, 0.31), ("W4 slow", 600, 0.9), ("W4", 500, 0.9), ("W8", 1000, 0.92)]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize(
    ("budget", "title"),
    [
        (249, "0.249 kB: no network fits"),
        (250, "0.25 kB: W2, 31.0 % with 0.25 kB"),
        (999, "0.999 kB: W4, 90.0 % with 0.5 kB"),
        (5000, "5 kB: W8, 92.0 % with 1 kB"),
    ],
)
def test_the_best_that_fits_is_named(budget, title):
    ax = plots.best_within_budget(NETWORKS, budget)
    assert ax.get_title() == title
    fits, too_large = ax.lines[:2]
    assert len(fits.get_xdata()) == sum(size <= budget for _, size, _ in NETWORKS)
    assert len(fits.get_xdata()) + len(too_large.get_xdata()) == len(NETWORKS)


@pytest.mark.parametrize(
    "networks",
    [
        [],
        [("none", 0, 0.5)],
        [("percent", 10, 91.0)],
        [("nan", 10, float("nan"))],
        [("endless", float("inf"), 0.5)],
    ],
)
def test_what_is_no_measurement_is_refused(networks):
    with pytest.raises(ValueError, match="expected"):
        plots.best_within_budget(networks, 100)
