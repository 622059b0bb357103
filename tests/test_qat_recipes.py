"""The recipes, and what the stored results of the benchmark say about them."""

from statistics import mean

import pytest

from labkit import zoo
from labkit.qat import EPOCHS, RECIPES, mean_results, prepare, stored_results

pytestmark = pytest.mark.slow

RESULTS = stored_results()


def rows(network: str, bits: str, method: str) -> list[dict]:
    wanted = {"network": network, "bits": bits, "method": method}
    return [row for row in RESULTS if {key: row[key] for key in wanted} == wanted]


@pytest.mark.parametrize("bits", RECIPES)
def test_a_recipe_says_what_its_name_does(bits: str) -> None:
    recipe = RECIPES[bits]
    weights, activations = int(bits[1]), int(bits[3])
    assert recipe.activation_scheme.bits == activations
    if weights == 1:
        assert recipe.weight_scheme == "binary"
    else:
        assert recipe.weight_scheme.bits == weights
    prepare(zoo.load_model("mobilenet"), recipe.weight_scheme, recipe.activation_scheme)
    assert set(EPOCHS) == set(zoo.MODELS)


@pytest.mark.parametrize("network", zoo.MODELS)
def test_the_stored_results_are_complete(network: str) -> None:
    assert len(rows(network, "FP32", "FP32")) == 1
    for bits in RECIPES:
        assert len(rows(network, bits, "PTQ")) == 1
        assert [row["seed"] for row in rows(network, bits, "QAT")] == [0, 1, 2]


@pytest.mark.parametrize("network", zoo.MODELS)
def test_means_are_those_of_the_runs(network: str) -> None:
    found = mean_results()[network]
    assert {method: list(bits) for method, bits in found.items()} == {
        "FP32": ["FP32"],
        "PTQ": list(RECIPES),
        "QAT": list(RECIPES),
    }
    runs = rows(network, "W2A8", "QAT")
    assert found["QAT"]["W2A8"].accuracy == pytest.approx(mean(r["accuracy"] for r in runs))
    assert found["QAT"]["W2A8"].lost == pytest.approx(mean(r["lost"] for r in runs))
    real = rows(network, "FP32", "FP32")[0]
    assert found["FP32"]["FP32"] == (real["accuracy"], real["standard_error"], 0.0)


@pytest.mark.parametrize(
    ("network", "bits", "points"),
    [("resnet", "W4A4", 1.0), ("mobilenet", "W4A4", 2.0), ("resnet", "W2A8", 3.0)],
)
def test_training_with_rounding_loses_little(network: str, bits: str, points: float) -> None:
    found = rows(network, bits, "QAT")
    assert 100 * mean(row["lost"] for row in found) <= points
    assert mean(row["accuracy"] for row in found) > rows(network, bits, "PTQ")[0]["accuracy"]


def test_every_run_took_a_minute_of_two_cores_and_became_the_integers_it_trained() -> None:
    for row in RESULTS:
        assert row["cpu_seconds"] <= 120
        assert row["same_class"] >= 0.995
