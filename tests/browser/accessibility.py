"""What the tests ask a page in the browser: can everybody read it?

axe-core, which finds what people with other eyes or other devices cannot use, comes from npm at
test time, once.
"""

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

AXE = "axe-core@4.14.1"
CACHE = Path.home() / ".cache" / "labkit-tests"
LEAST_CONTRAST = 4.5  # WCAG 2, level AA, success criterion 1.4.3
_SERIOUS = """async selector => {
    const found = await axe.run(selector ? {include: [[selector]]} : document);
    return found.violations
        .filter(v => ["serious", "critical"].includes(v.impact))
        .flatMap(v => v.nodes.map(node => `${v.id}: ${node.html.slice(0, 120)}`));
}"""
# The contrast of every element with text of its own, against the first ground below it that is
# not transparent; luminance as WCAG defines it.
_CONTRASTS = """selector => {
    const channels = colour => colour.match(/[\\d.]+/g).map(Number);
    const linear = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const luminance = ([r, g, b]) =>
        0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const sheet = document.createElement("div");
    sheet.style.backgroundColor = "Canvas";  // what shows where nothing paints a ground
    document.body.append(sheet);
    const canvas = channels(getComputedStyle(sheet).backgroundColor);
    sheet.remove();
    const ground = element => {
        for (; element; element = element.parentElement) {
            const [r, g, b, alpha = 1] = channels(getComputedStyle(element).backgroundColor);
            if (alpha == 1) return [r, g, b];
        }
        return canvas;
    };
    const hasText = element => [...element.childNodes].some(n => n.nodeType == 3 && n.data.trim());
    return [...document.querySelectorAll(`${selector} *`)].filter(hasText).map(element => {
        const ink = luminance(channels(getComputedStyle(element).color));
        const paper = luminance(ground(element));
        const [low, high] = [Math.min(ink, paper), Math.max(ink, paper)];
        return [(high + 0.05) / (low + 0.05), element.textContent.slice(0, 60)];
    });
}"""


def axe_source() -> str:
    """Return the source of axe-core; skip the test where it cannot be had."""
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


def serious(page, axe, selector=None):
    """Return what axe finds serious or critical, on the page or below a selector."""
    page.evaluate(axe)
    return page.evaluate(_SERIOUS, selector)


def pale(page, selector):
    """Return the texts below a selector that have too little contrast, with their ratio."""
    found = page.evaluate(_CONTRASTS, selector)
    assert found, f"no text below {selector}"
    return [(ratio, text) for ratio, text in found if ratio < LEAST_CONTRAST]
