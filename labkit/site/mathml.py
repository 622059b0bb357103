"""Formulas as MathML, which browsers draw by themselves: no script, no font, no network."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

from labkit.site.formulas import mathml


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer with Sphinx under the name ``mathml``."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(writer: HTML5Translator, node: nodes.math) -> None:
    writer.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def _block(writer: HTML5Translator, node: nodes.math_block) -> None:
    # A wide formula scrolls by itself, also with the keyboard, and leaves the page its width.
    writer.body.append('<div class="formula" tabindex="0" role="group" aria-label="formula">')
    writer.body.append(mathml(node.astext(), display="block"))
    writer.body.append("</div>")
    raise nodes.SkipNode
