"""A C program is compiled and called here, or it is said why not, and nothing is left behind."""

import pytest
import torch
from device_networks import integer_network

from labkit.device import Compiler, build, export_c, find_compiler

pytestmark = pytest.mark.slow
COMPILER = find_compiler()
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")


@pytest.fixture(scope="module")
def network():
    return integer_network("mobilenet")


@needs_compiler
def test_a_program_refuses_what_is_no_picture(network, tmp_path):
    export_c(network, tmp_path)
    program = build(tmp_path)
    images = torch.zeros(2, 28, 28, 1, dtype=torch.uint8).numpy()
    flat = program(images.reshape(2, -1))
    assert (program(images) == flat).all()
    assert (program(images[..., 0]) == flat).all()
    with pytest.raises(TypeError, match="pixels has dtype float32; expected uint8"):
        program(images.astype("float32"))
    with pytest.raises(ValueError, match=r"pixels has shape \(2, 14, 56\)"):
        program(images.reshape(2, 14, 56))


def test_a_compiler_that_fails_says_why_and_leaves_nothing(network, tmp_path):
    export_c(network, tmp_path)
    before = sorted(tmp_path.iterdir())
    missing = Compiler("none", (str(tmp_path / "none"),))
    with pytest.raises(ValueError, match="none cannot be run"):
        build(tmp_path, compiler=missing)
    if COMPILER:
        (tmp_path / "network.c").write_text("int network_run(")
        with pytest.raises(ValueError, match=r"failed with status 1 on network.c: .*network.c:1"):
            build(tmp_path)
        export_c(network, tmp_path)
        elsewhere = Compiler("elsewhere", (*COMPILER.command, "-c"))  # an object, no library
        with pytest.raises(ValueError, match="elsewhere made a library that this machine cannot"):
            build(tmp_path, compiler=elsewhere)
    assert sorted(tmp_path.iterdir()) == before


@needs_compiler
def test_a_compiler_that_stumbles_over_fast_loops_is_asked_for_small_ones(network, tmp_path):
    export_c(network, tmp_path)
    picky = tmp_path / "picky"
    command = " ".join(COMPILER.command)
    picky.write_text(f'#!/bin/sh\ncase "$*" in *-Os*) exec {command} "$@";; esac\nexit 139\n')
    picky.chmod(0o755)
    assert build(tmp_path, compiler=Compiler("picky", (str(picky),))).compiler == "picky"


def test_without_a_compiler_it_says_what_to_install(network, tmp_path, monkeypatch):
    export_c(network, tmp_path)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert find_compiler() is None
    with pytest.raises(ValueError, match=r"no C compiler here .* pip install labkit\[device\]"):
        build(tmp_path)


@needs_compiler
def test_the_environment_names_a_compiler_and_its_flags(monkeypatch):
    command = COMPILER.command[0]
    monkeypatch.setenv("CC", f"{command} -O1")
    assert find_compiler().command == (command, "-O1")


def test_folders_with_no_program_or_several(network, tmp_path):
    with pytest.raises(ValueError, match="holds no program"):
        build(tmp_path)
    for name in ("one", "two"):
        export_c(network, tmp_path, name)
    with pytest.raises(ValueError, match="holds the programs one, two"):
        build(tmp_path)
    with pytest.raises(ValueError, match=r"there is no file .*three.c"):
        build(tmp_path, "three")
