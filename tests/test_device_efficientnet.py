"""EfficientNet-Lite0, which nobody here trained, as a C program: the codes of both backends."""

import pytest
import torch

from labkit import imagenet
from labkit.device import build, export_c, find_compiler, input_table
from labkit.ptq import load, quantize_model, save

missing = imagenet.missing_packages()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing), reason=f"missing: {', '.join(missing)}"),
    pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler"),
]


def test_pictures_and_noise_give_the_codes_of_both_backends(tmp_path):
    real = (imagenet.load_pictures()[0][:2] * 128 + 127).to(torch.uint8)
    noise = torch.randint(256, real[:1].shape, generator=torch.manual_seed(0)).to(torch.uint8)
    pixels = torch.cat([real, noise])
    images = (pixels.float() - 127) / 128
    model = quantize_model(imagenet.load_network(), [images[:2]], observer="minmax")
    grid = model.qparams[model.input_name]
    door = input_table([127 / 255] * 3, [128 / 255] * 3, grid)
    exported = export_c(model, tmp_path, "lite0", tuple(images.shape[1:]), door)
    assert exported.arena == exported.peak
    codes = torch.from_numpy(build(tmp_path)(pixels.permute(0, 2, 3, 1).numpy()))
    save(model.using("fixed"), tmp_path / "lite0")
    for backend, some in (("torch", slice(3)), ("reference", slice(1, 2))):
        network = load(tmp_path / "lite0", backend=backend)
        lowest = network.qparams[network.outputs].scheme.qmin
        assert torch.equal(codes[some].int() + lowest, network.codes(images[some]).int())
