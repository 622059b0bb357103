"""What the code of an answer tells, where it is at hand: in the notebook.

`answer.py` and `signs.py` read it. `repair.py` is the door to what runs it again: watched
(`happening.py`, by `watching.py` at its `spots.py`, whatever the `dtypes.py`), and changed, in the
search for what makes its calls right (`mending.py`, on the calls of `trials.py` and those of
`further.py`; `advice.py` words what it finds, `nudges.py` knows what mends by chance). Which
changes are tried is said by `edits.py`: slips of one node of a formula (`slips.py`, `brackets.py`,
`functions.py`, `rarer.py`), of whole statements (`statements.py`), and what may be missing
(`insertions.py`, of the kinds and words that `kinds.py` and `words.py` find).
"""
