"""Post-training quantization: a trained float network becomes one that runs on integers.

The modules, each on top of those before:

- `tracing` writes down what a forward does (`patching` lets Python and torch take part,
  `during_tracing` the network's own hooks), `rewriting` and `convolutions` make the graph plain,
  `calls` gives each operation one name; `batches` guards that nothing was lost;
- `graph` folds batch normalization into layers; `equalization` balances their ranges;
- `plan` says what integer operations are as data, `steps` finds them in a graph: layers,
  `elementwise` functions as tables, and what `functions` has by name; `operators` runs them;
- `fixed_point` has their twins for chips without floating point, `building` chooses;
- `network` runs them: integers from input to logits; `files` keeps it on disk, `onnx` exports it;
- `weights` chooses grids for weights, `correction` repairs biases;
- `observing` calibrates in bounded memory, `padding` keeps what is padded with on the grid;
- `convert` builds the integer network: `quantize_model` is the door;
- `sensitivity` quantizes a layer at a time, `measuring` says what a network costs, `explaining`
  what becomes of each operation;
- `weight_only` quantizes weights alone.
"""

from labkit.ptq.convert import OBSERVERS, convert, observe_tensors, quantize_model
from labkit.ptq.correction import correct_biases
from labkit.ptq.equalization import equalize
from labkit.ptq.explaining import Cost, Explained, costs, explain
from labkit.ptq.files import load, save
from labkit.ptq.graph import fold_batchnorm, trace
from labkit.ptq.measuring import Measured, bytes_on_disk, measure, milliseconds
from labkit.ptq.network import QuantizedModel
from labkit.ptq.onnx import export_onnx
from labkit.ptq.plan import Step, Weights
from labkit.ptq.sensitivity import Sensitivity, sensitivity
from labkit.ptq.steps import lower
from labkit.ptq.weight_only import WeightOnlyLayer, replace_modules, weight_only
from labkit.ptq.weights import weight_qparams

__all__ = [
    "OBSERVERS",
    "Cost",
    "Explained",
    "Measured",
    "QuantizedModel",
    "Sensitivity",
    "Step",
    "WeightOnlyLayer",
    "Weights",
    "bytes_on_disk",
    "convert",
    "correct_biases",
    "costs",
    "equalize",
    "explain",
    "export_onnx",
    "fold_batchnorm",
    "load",
    "lower",
    "measure",
    "milliseconds",
    "observe_tensors",
    "quantize_model",
    "replace_modules",
    "save",
    "sensitivity",
    "trace",
    "weight_only",
    "weight_qparams",
]
