"""Answers that judge or name other code: tests, and names of slips.

`sayings.py` is the door. `naming.py` looks at the names that were given; `testing.py` at a test,
whose calls `recording.py` keeps and whose comparisons `sides.py` reads.
"""
