"""Lab 7, a language model in few bits: one file an exercise.

Each holds a reference, the inputs it is called with, and the mistakes that people make.
Where these are many, they stand in a file of their own, `..._slips.py`, and the answer whose parts
they replace may stand in `..._parts.py`.
"""

from labkit.checks.lab7.awq_errors import AWQ_ERRORS
from labkit.checks.lab7.cache_round import CACHE_ROUND
from labkit.checks.lab7.correct import CORRECT
from labkit.checks.lab7.gptq import GPTQ
from labkit.checks.lab7.inverse_factor import INVERSE_FACTOR
from labkit.checks.lab7.maxima import MAXIMA
from labkit.checks.lab7.perplexity import PERPLEXITY
from labkit.checks.lab7.predicted_seconds import PREDICTED_SECONDS
from labkit.checks.lab7.quantize_groups import QUANTIZE_GROUPS
from labkit.checks.lab7.quantize_tokens import QUANTIZE_TOKENS
from labkit.checks.lab7.rotate import ROTATE
from labkit.checks.lab7.smooth import SMOOTH
from labkit.checks.lab7.split_linear import SPLIT_LINEAR

TITLE = "A language model in few bits"
SENTENCE = (
    "Why a language model breaks where image networks do not, and the ways out, on real layers."
)
# The picture that stands for the lab, by words that describe it and no other one.
PICTURE = "first weight rounded; weights: error 0"

EXERCISES = (
    PERPLEXITY,
    MAXIMA,
    QUANTIZE_TOKENS,
    SPLIT_LINEAR,
    SMOOTH,
    QUANTIZE_GROUPS,
    AWQ_ERRORS,
    CORRECT,
    INVERSE_FACTOR,
    GPTQ,
    ROTATE,
    CACHE_ROUND,
    PREDICTED_SECONDS,
)
