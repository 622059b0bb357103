"""The same C file on an emulated Cortex-M4: the same logits, byte for byte."""

import shutil

import numpy as np
import pytest

from labkit import zoo
from labkit.cli import main
from labkit.device import emulate, export_c, input_table
from labkit.device.emulation import EMULATOR, fashion_pixels, find_cross_compiler, memory_of
from labkit.ptq import quantize_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which(EMULATOR) is None, reason=f"{EMULATOR} is not installed"),
    pytest.mark.skipif(find_cross_compiler() is None, reason="no compiler for the Cortex-M4"),
]
IMAGES = 20


@pytest.fixture(scope="module", params=zoo.MODELS)
def exported(request, tmp_path_factory):
    """A network, its program, and what it did with the images."""
    few = zoo.load_data("fashion_mnist", "calibration")[0][:64]
    model = quantize_model(zoo.load_model(request.param), [few], observer="minmax")
    folder = tmp_path_factory.mktemp(request.param)
    table = input_table(zoo.MEAN, zoo.STD, model.qparams[model.input_name])
    written = export_c(model, folder, table=table)
    return model, folder, written, emulate(folder, fashion_pixels(IMAGES))


def test_the_logits_are_those_of_the_network(exported):
    model, _, _, found = exported
    images = zoo.load_data("fashion_mnist", "test")[0][:IMAGES]
    assert np.array_equal(found.logits, model.using("fixed").codes(images).numpy())


def test_memory_is_that_of_the_arena_and_the_constants(exported):
    _, _, written, found = exported
    assert 0 < found.ram - written.arena < 2048  # the board's own logits
    assert 0 < found.flash - written.constants < 2**13  # code


def test_instructions_are_counted_and_the_same_at_every_run(exported):
    _, folder, _, found = exported
    again = emulate(folder, fashion_pixels(1))
    assert np.array_equal(again.instructions, found.instructions[:1])
    assert (found.instructions > 10**7).all()


def test_a_loop_of_known_length_counts_as_many_instructions(tmp_path):
    (tmp_path / "loop.h").write_text(
        "#include <stdint.h>\n#define LOOP_PIXELS 1\n#define LOOP_LOGITS 1\n#define LOOP_ARENA 1\n"
        "int loop_run(const uint8_t *pixels, uint8_t *logits);\n"
    )
    (tmp_path / "loop.c").write_text(
        '#include "loop.h"\n'
        "int loop_run(const uint8_t *pixels, uint8_t *logits)\n"
        "{ uint32_t n = 100000; *logits = *pixels;\n"
        '  __asm__ volatile("1: subs %0, #1\\n bne 1b" : "+r"(n)); return 0; }\n'
    )
    found = emulate(tmp_path, np.zeros((2, 1), np.uint8))
    assert found.instructions == pytest.approx(200_000, abs=200)


def test_the_command(exported, capsys):
    _, folder, _, found = exported
    assert main(["emulate", str(folder), "--images", "1"]) == 0
    out = capsys.readouterr().out
    assert f"{found.ram} of RAM" in out
    assert f"image 0: {' '.join(map(str, found.logits[0]))}" in out


def test_other_pixels_are_refused(exported):
    with pytest.raises(ValueError, match="expected uint8"):
        emulate(exported[1], np.zeros((2, 5), np.uint8))
    with pytest.raises(ValueError, match="one image or more"):
        emulate(exported[1], np.zeros((0, 784), np.uint8))
    with pytest.raises(ValueError, match="expected 1 or more"):
        fashion_pixels(0)


def test_segments_of_an_elf_file_are_added_up():
    def word(value, size=4):
        return value.to_bytes(size, "little")

    header = bytes(28) + word(52) + bytes(10) + word(32, 2) + word(2, 2)
    header += bytes(52 - len(header))
    code = word(1) + bytes(4) + word(0) + bytes(4) + word(100) + word(100) + bytes(8)
    data = word(1) + bytes(4) + word(0x20000000) + bytes(4) + word(8) + word(50) + bytes(8)
    assert memory_of(header + code + data) == (108, 50)
