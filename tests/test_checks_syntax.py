"""Source becomes a syntax tree in several threads at once."""

import ast
import sys
import threading
from pathlib import Path

import pytest

import labkit
from labkit.checks import syntax

SOURCE = "\n".join(f"def f{i}(a, b):\n    return [a + (b, (a, {i})) for a in b]" for i in range(99))


class Circle:
    """What only the garbage collector frees; it then runs code, where threads may switch."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        sum(range(50))


def test_threads_get_their_trees_side_by_side():
    wanted, trees, errors = ast.dump(ast.parse(SOURCE)), [], []

    def read() -> None:
        for _ in range(20):
            _circles = [Circle() for _ in range(50)]
            del _circles
            try:
                trees.append(syntax.parse(SOURCE))
            except SystemError as error:  # as `ast.parse` does within a few rounds
                errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=read) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
    finally:
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    assert errors == []
    assert {ast.dump(tree) for tree in trees} == {wanted}


def test_it_is_asked_for_as_pythons_own():
    assert ast.dump(syntax.parse("x + 1", mode="eval")) == ast.dump(ast.parse("x + 1", mode="eval"))
    with pytest.raises(SyntaxError) as caught:
        syntax.parse("x = [", "<cell 3>")
    assert caught.value.filename == "<cell 3>"


def test_the_package_has_no_other_way_to_a_tree():
    package = Path(labkit.__file__).parent
    others = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "ast.parse(" in path.read_text("utf-8").replace("syntax.parse(", "")
    }
    assert others == {"checks/syntax.py"}
