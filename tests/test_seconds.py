"""What is stored of how long the tests take is about tests that there are."""

import json
from pathlib import Path

ROOT = Path(__file__).parents[1]
STORED = json.loads((ROOT / "tests" / "seconds.json").read_text("utf-8"))


def test_every_file_of_which_seconds_are_stored_is_there() -> None:
    files = STORED["files"].keys() | {name.partition("::")[0] for name in STORED["tests"]}
    assert [name for name in sorted(files) if not (ROOT / name).is_file()] == []


def test_what_is_stored_as_slow_is_a_function_of_its_file() -> None:
    for name in STORED["tests"]:
        file, _, test = name.partition("::")
        assert f"def {test.partition('[')[0]}(" in (ROOT / file).read_text("utf-8")
