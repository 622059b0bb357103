"""What a new exercise begins as: small, whole and right, to be replaced piece by piece.

Each text is a `string.Template` of `id`, `title`, `function` and what follows from them.
"""

EXERCISE = '''"""Exercise $id: $title."""

import torch
from torch import Tensor

from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.rules import Rule


def $function(x: Tensor) -> Tensor:
    """Return the largest magnitude in each row of the matrix `x`."""
    return x.abs().amax(dim=1)


def _cases(rng: torch.Generator) -> list[Case]:
    def matrix(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=rng)

    return [
        Case("one row", (matrix(1, 5),)),
        Case("as many rows as columns", (matrix(4, 4),)),
        Case("more rows than columns", (matrix(6, 3),)),
        Case("more columns than rows", (matrix(3, 8),)),
        Case("negative values only", (-matrix(4, 5).abs(),)),
        Case("a row of zeros", (torch.cat([matrix(3, 5), torch.zeros(1, 5)]),)),
    ]


def _largest_value(x: Tensor) -> Tensor:
    return x.amax(dim=1)


def _of_columns(x: Tensor) -> Tensor:
    return x.abs().amax(dim=0)


def _of_all(x: Tensor) -> Tensor:
    return x.abs().max()


$constant = Exercise(
    id="$id",
    title="$title",
    points=1,
    minutes=(3, 5),
    extra=True,
    reference=$function,
    cases=_cases,
    rules=(Rule(relative=1e-6, dtype="real"),),
    hints=(
        "Which number of a row lies farthest from 0, if negative ones count as well?",
        "Take magnitudes first; then the largest along the columns.",
        "x.abs() has the magnitudes, and amax(dim=1) the largest of each row.",
    ),
    misconceptions=(
        Misconception(
            "takes the largest value, not the largest magnitude",
            _largest_value,
            "A negative number may lie farthest from 0: take abs() first.",
        ),
        Misconception(
            "looks along the rows instead of the columns",
            _of_columns,
            "You get one number for each column; dim=1 gives one for each row.",
        ),
        Misconception(
            "takes the largest of all rows together",
            _of_all,
            "Every row has a result of its own: name the dimension.",
        ),
    ),
)
'''

RIGHT_ANSWERS = """# $id $dashes


def ${function}_by_norm(x):
    return torch.linalg.vector_norm(x, ord=float("inf"), dim=1)


def ${function}_from_both_ends(x):
    return torch.maximum(x.amax(dim=1), -x.amin(dim=1))


def ${function}_in_a_loop(x):
    return torch.tensor([max(abs(value) for value in row) for row in x.tolist()])


"""
NO_ANSWERS = '''"""Right answers in other styles than the reference's: the tests accept them all."""

import torch

RIGHT_ANSWERS = {
}
'''
"""The right answers to exercises of one's own, before there are any."""

TO_TRY_IT = """Run this notebook to try the exercise. From its heading on it goes into the lab,
behind the last exercise there; what stands above the heading does not."""

STYLES = ("by_norm", "from_both_ends", "in_a_loop")

CELLS = (
    (
        "markdown",
        """## $id $title

**Goal:** say in a sentence what the function is for. *Done when it finds the largest magnitude
in each row.*

**Lecture:** [lecture 5](https://hanlab.mit.edu/courses/2024-fall-65940), *the topic*.

$$$$m_i = \\max_j |x_{ij}|$$$$

$$x_{ij}$$ is the number in row $$i$$ and column $$j$$ of a matrix, $$m_i$$ the result for row
$$i$$. A few lines of your own show here what the exercise is about:""",
    ),
    (
        "given",
        """example = torch.tensor([[0.5, -3.0, 1.0], [0.1, 0.2, -0.1]])
print("largest: ", example.amax(dim=1))
print("smallest:", example.amin(dim=1))""",
    ),
    (
        "markdown",
        """**Predict:** how large is the largest magnitude in the first row? Ask here for one number
that a student can think out, or estimate, before writing any code.""",
    ),
    ("given", "guess_$function = None  # your number"),
    (
        "answer",
        '''def $function(x: Tensor) -> Tensor:
    """Return the largest magnitude in each row of the matrix `x`."""
    ### BEGIN SOLUTION
    return x.abs().amax(dim=1)
    ### END SOLUTION''',
    ),
    ("check", '$function = lab.check("$id", $function)'),
    (
        "given",
        """measured = $function(example)[0]
lab.reveal("Largest magnitude in the first row", guess_$function, float(measured))""",
    ),
    (
        "markdown",
        """<details><summary>Help: I get one number for each column</summary>

A dimension that is named in a reduction goes away. Which one has to stay?

</details>

**Why it matters.** Say where people meet this, and give a source:
[torch.amax](https://docs.pytorch.org/docs/stable/generated/torch.amax.html).""",
    ),
)
"""The cells of an exercise, in their order: their kind and their text."""
