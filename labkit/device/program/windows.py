"""Windows over images: their constants."""

from labkit.device.program.memory import Placed, natural, positions
from labkit.device.program.writer import Writer, window_fields
from labkit.ptq.plan import Step


def write_max_pool(writer: Writer, step: Step) -> None:
    """Write a max pool of images, or of sequences, which are images with one row."""
    settings, shape = step.settings, writer.values[step.name].shape
    names = ("kernel_size", "stride", "padding", "dilation")
    tensor = writer.tensors[step.inputs[0]]
    numbers = {name: list(settings[name]) for name in names}
    if len(shape) == 3:
        tensor = Placed(tensor.buffer, tensor.places.unsqueeze(2))
        plain = {"padding": 0}
        numbers = {name: [plain.get(name, 1), *values] for name, values in numbers.items()}
        shape = (shape[0], shape[1], 1, shape[2])
    source = writer.read(tensor, natural(4), step.name)
    output = writer.make(step.name, writer.values[step.name].numel())
    constants = writer.struct(
        "max_pool", step.name, window=window_fields(tensor.shape, shape, **numbers)
    )
    writer.call("max_pool", [source], output, constants, note=step.name)
    places = positions(shape, natural(4))
    if len(writer.values[step.name].shape) == 3:
        places = places.squeeze(2)
    writer.tensors[step.name] = Placed(output, places)
