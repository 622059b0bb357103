"""Layers of a real model, with the inputs that they really saw: for everybody, without a download.

From SmolLM2-135M-Instruct (Hugging Face, Apache 2.0; ``data/smollm2_layers.NOTICE``): the down
projection of block 28, whose input has the model's large outlier, and q, k and v of block 12, which
share an input behind a normalization. Weights are those of the file that `labkit get smollm2`
keeps, in its own bytes; inputs are float16. They were made by::

    python -m labkit.language.smollm2_layers FILE.gguf
"""

import argparse
import functools
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from labkit.blocks import decode, read_gguf
from labkit.language.gguf_model import gguf_model, gguf_name, gguf_tokenizer
from labkit.language.recording import record_inputs
from labkit.language.text import load_text

__all__ = ["RealLayer", "real_layers"]

FILE = "smollm2_layers.safetensors"
FORMAT = "q4_1"
LAYERS = {
    "down": "blocks.28.mlp.down",
    "q": "blocks.12.attention.q",
    "k": "blocks.12.attention.k",
    "v": "blocks.12.attention.v",
}
# Layers that read the same: where their input is stored, and the normalization in front of them.
SHARED = {"q": "attention", "k": "attention", "v": "attention"}
NORMS = {"attention": "blocks.12.attention_norm.weight"}
LENGTH = 112  # tokens a sequence
SEQUENCES = {"calibration": 4, "held-out": 2}


@dataclass(frozen=True, eq=False)
class RealLayer:
    """A linear layer of SmolLM2, and what it saw on two texts.

    Attributes
    ----------
    name : str
        In the model: "blocks.28.mlp.down".
    weight : Tensor
        float32 [out, in].
    calibration, held_out : Tensor
        float32 [tokens, in], inputs on the calibration text and on the held-out text: several
        sequences, one after the other, each LENGTH tokens long.
    norm : Tensor, optional
        float32 [in], the weight of the normalization in front of the layer; None where there is
        none.
    """

    name: str
    weight: Tensor
    calibration: Tensor
    held_out: Tensor
    norm: Tensor | None = None


def real_layers() -> dict[str, RealLayer]:
    """Return "down", "q", "k" and "v"; the last three share their inputs."""
    stored = _stored()

    def layer(key: str) -> RealLayer:
        shared = SHARED.get(key, key)
        norm = stored[f"{shared}.norm"] if shared in NORMS else None
        return RealLayer(
            LAYERS[key],
            decode(stored[f"{key}.weight"], FORMAT),
            stored[f"{shared}.calibration"].float(),
            stored[f"{shared}.held-out"].float(),
            norm,
        )

    return {key: layer(key) for key in LAYERS}


@functools.cache
def _stored() -> dict[str, Tensor]:
    with resources.as_file(resources.files("labkit.data") / FILE) as path:
        return load_file(path)


def make(source: Path, folder: Path) -> None:
    """Record the inputs in the model of a GGUF file, and write them with the weights."""
    file = read_gguf(source)
    model, tokenizer = gguf_model(file), gguf_tokenizer(file.metadata)
    tensors: dict[str, Tensor] = {}
    for text, count in SEQUENCES.items():
        tokens = tokenizer.encode(load_text(text))[: count * LENGTH].view(count, LENGTH)
        inputs = record_inputs(model, tokens, list(LAYERS.values()), progress=True)
        for key, name in LAYERS.items():
            tensors[f"{SHARED.get(key, key)}.{text}"] = inputs[name].half()
    for key, name in LAYERS.items():
        stored = file.tensors[gguf_name(f"{name}.weight")]
        tensors[f"{key}.weight"] = stored.data.view(stored.shape[0], -1, 20)
    for key, name in NORMS.items():
        tensors[f"{key}.norm"] = model.get_parameter(name).detach()
    save_file(tensors, folder / FILE)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m labkit.language.smollm2_layers")
    parser.add_argument("source", type=Path, help="the file that `labkit get smollm2` keeps")
    make(parser.parse_args().source, Path(__file__).parent.parent / "data")
