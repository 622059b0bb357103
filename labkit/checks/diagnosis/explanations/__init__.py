"""What may have gone wrong, and what each call would give if it had.

Each source gives `labkit.checks.diagnosis.evidence.Explanation`, one a slip: mistakes that an
exercise knows (`stored.py`), arguments that are not what they should be (`arguments.py`, one row of
`changes.py` a slip), results that are related to the right ones (`results.py`, one row of
`relations.py`, `rounding.py`, `factors.py` a slip; `orders.py`), and the reference with one slip of
the pen (`variants.py`).
"""
