"""The networks of the zoo in integers, calibrated in passing."""

import functools

from labkit import zoo
from labkit.ptq import QuantizedModel, quantize_model


@functools.cache
def integer_network(name: str, images: int = 32, **settings) -> QuantizedModel:
    few = zoo.load_data("fashion_mnist", "calibration")[0][:images]
    return quantize_model(zoo.load_model(name), [few], observer="minmax", **settings)
