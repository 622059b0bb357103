"""From wrong results to what the slip may be.

`diagnosis.py` chooses what a card says; `evidence.py` weighs every explanation alike, whichever of
`explanations/` it comes from. `reading.py` asks the answer's own code, which `code/` reads, watches
and mends; `facts/` says what can be seen without a cause, `judging/` is for answers that judge
other code.
"""
