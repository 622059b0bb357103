"""Which cells of a student's notebook count, and in which order they run.

**The rule: what a student wrote or changed runs from top to bottom, and an exercise is judged where
its check stands, on the function of its name that is there by then; if none is, on the last one
that stands further down.**

From it follows:

- The answer may stand in any cell: split, moved, merged with others, as a lambda, inside an ``if``.
- A stub that was left as it was is no answer. It does not run, so it hides none.
- Own cells run where they stand: a helper that changes further down changes nothing above.
- With its check an exercise is settled: a copy of the answer below it, for experiments, runs, and
  the name goes on to mean what was judged.
- The lab's own cells count as they were handed out: of a given cell its imports, functions and
  constants, where it stands. A check is the lab's own wherever it stands, the last one if it is
  there twice. A cell of the lab that a student edited is the student's.
- As in the notebook, an answer that is not right is followed by the lab's own of that name. What
  else its cell defines stays.
- Exercises are judged in the lab's order. If an earlier one stands further down, its answer runs
  before the check at hand.
"""

import ast
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from labkit.grading.course import Course, Task
from labkit.grading.inside.cells import OWN, definitions, parse
from labkit.grading.submission.handed_out import lines, same_code
from labkit.grading.submission.makes import is_stub, makes


@dataclass(frozen=True)
class Cell:
    """What the grader reads of a cell.

    Attributes
    ----------
    number : int
        Its place among the code cells, from 1.
    source : str
        The code.
    grade_id : str
        The nbgrader id, or an empty string.
    is_code : bool
        Not a Markdown or raw cell.
    """

    number: int
    source: str
    grade_id: str = ""
    is_code: bool = True


class Part(Enum):
    """What becomes of a cell."""

    STUDENTS = auto()  # runs
    GIVEN = auto()  # its definitions run, as they were handed out
    NONE = auto()  # a stub, a check, an empty cell, prose


@dataclass(frozen=True)
class Place:
    """Where an exercise stands in a notebook.

    Attributes
    ----------
    check : int
        How many cells stand above its check.
    answers : tuple of int
        The positions of the cells that are its answer; empty if there is none.
    again : tuple of int
        The positions of the cells that make its function again once it has been judged.
    """

    check: int
    answers: tuple[int, ...] = ()
    again: tuple[int, ...] = ()

    @property
    def end(self) -> int:
        """How many cells run before it is judged."""
        return max(self.check, *(position + 1 for position in self.answers), 0)

    @property
    def is_below(self) -> bool:
        """Whether the answer stands below its check."""
        return bool(self.answers) and self.answers[-1] >= self.check


@dataclass(frozen=True)
class Step:
    """A piece of code to run.

    Attributes
    ----------
    name : str
        What messages call it.
    source : str
        The code.
    position : int or None
        The student's cell that it is.
    only_definitions : bool
        Whether no more of it runs than imports, functions, classes and constants.
    """

    name: str
    source: str
    position: int | None = None
    only_definitions: bool = False


class Arrangement:
    """The cells of a notebook, each with its part, and the exercises in their places.

    Parameters
    ----------
    cells : sequence of Cell
        In the notebook's order.
    course : Course
        The lab.
    """

    def __init__(self, cells: Sequence[Cell], course: Course) -> None:
        self.cells = tuple(cells)
        self._given = {lines(source): source for source in course.given if source.strip()}
        self._exercises = {task.grade_id: task.exercise.id for task in course.tasks}
        self._functions = {task.exercise.id: task.exercise.function for task in course.tasks}
        self._parts = [self._part(cell, course) for cell in cells]
        self.places = {task.exercise.id: self._place(task) for task in course.tasks}

    def written(self) -> list[int]:
        """Return the positions of the cells that a student wrote or changed."""
        return [i for i, part in enumerate(self._parts) if part is Part.STUDENTS]

    def answer(self, task: Task) -> str:
        """Return the answer to an exercise as text; an empty one if there is none."""
        place = self.places[task.exercise.id]
        return "\n".join(self.cells[position].source for position in place.answers)

    def steps(
        self,
        task: Task,
        handed_on: Mapping[str, Sequence[Step]],
        only_definitions: Collection[int] = (),
        left_out: Collection[int] = (),
    ) -> list[Step]:
        """Return what runs before an exercise is judged.

        Parameters
        ----------
        task : Task
            The exercise.
        handed_on : mapping
            For each exercise that has been judged, what its check hands on to what follows.
        only_definitions, left_out : collection of int
            Cells that have ended the process: of these only definitions run, or nothing.
        """

        def step(position: int) -> list[Step]:
            if position in left_out:
                return []
            return self._step(position, position in only_definitions)

        end = self.places[task.exercise.id].end
        waiting, found = dict(handed_on), list[Step]()
        for position in range(-1, end):
            if position >= 0:
                found += step(position)
            for key in handed_on:
                if self.places[key].end == position + 1:
                    found += [*waiting.pop(key), *self._kept(key)]
                elif position in self.places[key].again:
                    found += self._settled(key)
        for key, steps in waiting.items():
            answers = [position for position in self.places[key].answers if position >= end]
            found += [one for position in answers for one in step(position)]
            found += steps
        return found

    def _step(self, position: int, only_definitions: bool) -> list[Step]:
        cell = self.cells[position]
        if self._parts[position] is Part.STUDENTS:
            return [Step(self.name(position), cell.source, position, only_definitions)]
        if self._parts[position] is Part.GIVEN:
            kept = definitions(parse(self._given[lines(cell.source)]))
            source = "\n".join(map(ast.unparse, kept))
            return [Step(f"{OWN} cell {position}>", source)] if kept else []
        return []

    def _kept(self, key: str) -> list[Step]:
        """Keep what a check has handed on, if a cell below makes it again."""
        if not self.places[key].again:
            return []
        return [Step(f"{OWN} keeps {key}>", f"{self._kept_name(key)} = {self._functions[key]}")]

    def _settled(self, key: str) -> list[Step]:
        return [Step(f"{OWN} settles {key}>", f"{self._functions[key]} = {self._kept_name(key)}")]

    def _kept_name(self, key: str) -> str:
        return f"_judged_{key.replace('.', '_')}"

    def name(self, position: int) -> str:
        """Return what messages call a cell."""
        cell = self.cells[position]
        number = f"cell {cell.number}" if cell.is_code else "a cell without code"
        exercise = self._exercises.get(cell.grade_id)
        return f"<{number} (exercise {exercise})>" if exercise else f"<{number}>"

    def _part(self, cell: Cell, course: Course) -> Part:
        if not cell.source.strip():
            return Part.NONE
        by_id = next((task for task in course.tasks if task.grade_id == cell.grade_id), None)
        if not cell.is_code and not (by_id and makes(cell.source, by_id.exercise.function)):
            return Part.NONE
        tasks = [by_id] if by_id is not None else course.tasks
        if any(is_stub(cell.source, task) for task in tasks):
            return Part.NONE
        if any(same_code(cell.source, task.check_source) for task in course.tasks):
            return Part.NONE
        return Part.GIVEN if lines(cell.source) in self._given else Part.STUDENTS

    def _place(self, task: Task) -> Place:
        check, written = self._check(task), self.written()
        by_id = [i for i in written if self.cells[i].grade_id == task.grade_id]
        makers = [i for i in written if makes(self.cells[i].source, task.exercise.function)]
        above = [[i for i in found if i < check] for found in (makers, by_id)]
        last = next((found[-1] for found in (above[0], makers, above[1], by_id) if found), None)
        if last is None:
            return Place(check)
        # What else bears its id is a part of it, unless it is another try.
        parts = {last, *(i for i in by_id if (i < check) == (last < check))}
        place = Place(check, tuple(sorted(parts)) if parts & {*makers} == {last} else (last,))
        return replace(place, again=tuple(i for i in makers if i >= place.end))

    def _check(self, task: Task) -> int:
        called = re.compile(rf"\blab\.check\(\s*[\"']{re.escape(task.exercise.id)}[\"']")
        code = [i for i, cell in enumerate(self.cells) if cell.is_code]
        by_id = [i for i in code if self.cells[i].grade_id == task.check_id]
        by_text = [i for i in code if same_code(self.cells[i].source, task.check_source)]
        inside = [i for i in code if called.search(self.cells[i].source)]
        for found in (by_id, by_text, inside):
            if found:
                # An edited check, or one that was merged with an answer, is the student's cell.
                return found[-1] + (self._parts[found[-1]] is Part.STUDENTS)
        return len(self.cells)
