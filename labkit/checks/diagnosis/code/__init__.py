"""What the code of an answer tells, where it is at hand: in the notebook.

`answer.py` reads it, `mending.py` looks for the change that makes its calls right. Which changes
are tried is said by `edits.py`, of one node of a formula by `slips.py` and `brackets.py`, of a
function's name by `functions.py`.
"""
