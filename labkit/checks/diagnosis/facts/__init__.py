"""What can be seen without knowing the cause, said where none is known.

Which calls are right and which wrong (`contrast.py`, by `qualities.py`), what all wrong numbers
have in common (`numbers.py`), where a wrong shape comes from (`shapes.py`), and what an error of
Python or torch means (`errors.py`).
"""
