"""Block formats: how weights lie in the files that people download, bit for bit.

- `fields`: what lies where in a block; `rules`: how scale and codes are chosen;
- `formats`: the table of formats, each a frozen dataclass; `coding`: bytes from values and back;
- `double`: scales in 8 bits; `symmetric`: four scales under one name;
- `gguf_files`: GGUF files.
"""

from labkit.blocks.coding import BlockTensor, decode, encode, tensor_scale
from labkit.blocks.double import DoubleQuantized, double_quantize, nf4_double_quantized
from labkit.blocks.fields import Codes, Number, Trits
from labkit.blocks.formats import BLOCK_FORMATS, E2M1, BlockFormat, find_block_format
from labkit.blocks.gguf_files import GGUFFile, StoredTensor, read_gguf, write_gguf
from labkit.blocks.symmetric import SYMMETRIC_SCALES, symmetric_round_trip, symmetric_scale

__all__ = [
    "BLOCK_FORMATS",
    "E2M1",
    "SYMMETRIC_SCALES",
    "BlockFormat",
    "BlockTensor",
    "Codes",
    "DoubleQuantized",
    "GGUFFile",
    "Number",
    "StoredTensor",
    "Trits",
    "decode",
    "double_quantize",
    "encode",
    "find_block_format",
    "nf4_double_quantized",
    "read_gguf",
    "symmetric_round_trip",
    "symmetric_scale",
    "tensor_scale",
    "write_gguf",
]
