"""The cards in JupyterLab's themes, and the page of results: accessible, and readable by everybody.

axe-core, which finds what people with other eyes or other devices cannot use, comes from npm at
test time, once. Where it cannot be had, its tests skip and say so.
"""

import shutil
import subprocess
import tarfile
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from labkit.checks.page import results_page
from labkit.grading.release import NOTEBOOK_METADATA

AXE = "axe-core@4.14.1"
CACHE = Path.home() / ".cache" / "labkit-tests"
THEMES = ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast")
LEAST_CONTRAST = 4.5  # WCAG 2, level AA, success criterion 1.4.3
CARDS = """
from labkit import Lab

lab = Lab(1)


def stub(*args):
    raise NotImplementedError("Exercise 1.1")


def off_by_one(bits, signed, narrow):
    print("called with", bits)
    return (-(2 ** (bits - 1)) if signed else 0), 2 ** (bits - 1)


def right(bits, signed, narrow):
    lowest = -(2 ** (bits - 1)) if signed else 0
    return lowest + narrow, lowest + 2**bits - 1


lab.check("1.1", stub)
lab.check("1.1", off_by_one)
lab.check("1.1", lambda bits: bits.colour)
lab.check("1.1", lambda bits, signed, narrow: right(bits, signed, False))
lab.check("1.1", right)
lab.check("1.3", lambda x, scale, zero_point, qmin, qmax: (x / scale - zero_point).int())
lab.hint("1.1")
lab.hint("1.1")
lab.progress()
lab.reveal("SQNR in dB", 30, 37.5)
"""
SERIOUS = """async selector => {
    const found = await axe.run(selector ? {include: [[selector]]} : document);
    return found.violations
        .filter(v => ["serious", "critical"].includes(v.impact))
        .flatMap(v => v.nodes.map(node => `${v.id}: ${node.html.slice(0, 120)}`));
}"""
# The contrast of every element with text of its own, against the first ground below it that is
# not transparent; luminance as WCAG defines it.
CONTRASTS = """selector => {
    const channels = colour => colour.match(/[\\d.]+/g).map(Number);
    const linear = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const luminance = ([r, g, b]) =>
        0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const ground = element => {
        for (; element; element = element.parentElement) {
            const [r, g, b, alpha = 1] = channels(getComputedStyle(element).backgroundColor);
            if (alpha == 1) return [r, g, b];
        }
        return [255, 255, 255];
    };
    const hasText = element => [...element.childNodes].some(n => n.nodeType == 3 && n.data.trim());
    return [...document.querySelectorAll(`${selector} *`)].filter(hasText).map(element => {
        const ink = luminance(channels(getComputedStyle(element).color));
        const paper = luminance(ground(element));
        const [low, high] = [Math.min(ink, paper), Math.max(ink, paper)];
        return [(high + 0.05) / (low + 0.05), element.textContent.slice(0, 60)];
    });
}"""


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    script = CACHE / AXE / "package" / "axe.min.js"
    if not script.exists():
        if shutil.which("npm") is None:
            pytest.skip("npm is missing, which fetches axe-core")
        folder = CACHE / AXE
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", AXE, "--silent", "--pack-destination", str(folder)]
        packed = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if packed.returncode != 0:
            pytest.skip(f"npm could not fetch {AXE}: {packed.stderr.strip()[-200:]}")
        with tarfile.open(next(folder.glob("*.tgz"))) as archive:
            archive.extractall(folder, filter="data")
    return script.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def cards(labs, desk_with):
    """A notebook that shows one card of each kind below one cell."""
    notebook = new_notebook(cells=[new_code_cell(CARDS)], metadata=NOTEBOOK_METADATA)
    nbformat.write(notebook, labs / "cards.ipynb")
    with desk_with("cards.ipynb") as desk:
        desk.run(0)
        assert desk.tracebacks() == []
        yield desk


@pytest.mark.parametrize("theme", THEMES)
def test_the_text_of_every_card_can_be_read(theme, cards):
    cards.command("apputils:change-theme", theme=theme)
    found = cards.page.evaluate(CONTRASTS, ".labkit-card")
    words = " ".join(text for _, text in found)
    for state in ("Not started", "raised", "Not yet", "Almost", "Passed", "Hint", "measured"):
        assert state in words
    assert [(ratio, text) for ratio, text in found if ratio < LEAST_CONTRAST] == []


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_serious_in_the_cards(theme, cards, axe):
    cards.command("apputils:change-theme", theme=theme)
    cards.page.evaluate(axe)
    assert cards.page.evaluate(SERIOUS, ".labkit-card") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_page_of_results(scheme, browser, axe):
    page = browser.new_page(color_scheme=scheme)
    page.set_content(results_page())
    page.evaluate(axe)
    assert page.evaluate(SERIOUS) == []
    assert min(ratio for ratio, _ in page.evaluate(CONTRASTS, "body")) >= LEAST_CONTRAST
    page.close()


def test_axe_finds_what_is_wrong(browser, axe):
    page = browser.new_page()
    page.set_content("<p style='color:#999; background:#fff'>pale</p><img src='x.png'>")
    page.evaluate(axe)
    found = page.evaluate(SERIOUS)
    assert any(line.startswith("color-contrast") for line in found)
    assert any(line.startswith("image-alt") for line in found)
    assert min(page.evaluate(CONTRASTS, "body"))[0] < LEAST_CONTRAST
    page.close()
