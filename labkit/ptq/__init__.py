"""Post-training quantization: a trained float network becomes one that runs on integers.

The modules, each on top of those before:

- `graph` traces a network and folds batch normalization; `equalization` balances its ranges;
- `steps` writes it as integer operations, `operators` has those without weights;
- `network` runs them: integers from input to logits;
- `correction` repairs biases; `convert` calibrates and builds the integer network.
"""

from labkit.ptq.convert import OBSERVERS, convert, observe_tensors, quantize_model
from labkit.ptq.correction import correct_biases
from labkit.ptq.equalization import equalize
from labkit.ptq.graph import fold_batchnorm, trace
from labkit.ptq.network import QuantizedModel, Weights
from labkit.ptq.steps import Step, lower

__all__ = [
    "OBSERVERS",
    "QuantizedModel",
    "Step",
    "Weights",
    "convert",
    "correct_biases",
    "equalize",
    "fold_batchnorm",
    "lower",
    "observe_tensors",
    "quantize_model",
    "trace",
]
