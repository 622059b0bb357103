"""Calibration: choosing the real range that the integers cover.

A scale that covers every outlier is too coarse for all other values, one that covers too little
clips. An observer watches the batches of a calibration set and then chooses: `MinMax` and
`MovingAverage` by the extremes, `Percentile` by how much may be clipped, `Entropy` by the loss of
information, `MSE` by the squared error. `record` watches the layers of a network, and `report`
compares the methods on them.

The modules, each on top of those before:

- `buckets` and `histogram` count a stream without knowing its range;
- `entropy`, `mse` and `thresholds` choose a range from a histogram;
- `observers` and `histogram_observers` choose one from batches;
- `recording` watches the layers of a network.
"""

from labkit.calibration.entropy import entropy_range
from labkit.calibration.histogram import Histogram
from labkit.calibration.histogram_observers import MSE, Entropy, Percentile
from labkit.calibration.mse import mse_range
from labkit.calibration.observers import MinMax, MovingAverage, Observer
from labkit.calibration.recording import LayerReport, calibrate, histogram_error, record, report
from labkit.calibration.thresholds import METHODS, minmax_range, percentile_range

__all__ = [
    "METHODS",
    "MSE",
    "Entropy",
    "Histogram",
    "LayerReport",
    "MinMax",
    "MovingAverage",
    "Observer",
    "Percentile",
    "calibrate",
    "entropy_range",
    "histogram_error",
    "minmax_range",
    "mse_range",
    "percentile_range",
    "record",
    "report",
]
