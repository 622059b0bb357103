"""Slides as one page, which holds reveal.js, formulas and pictures and asks nothing of a network.

nbconvert's own page loads reveal.js, RequireJS and MathJax from other hosts. Here reveal.js comes
with sphinx-revealjs, a package without npm, and formulas are MathML, as on the site.
"""

import re
from collections.abc import Iterator
from html import escape
from importlib import resources
from typing import Any

from nbformat import NotebookNode

from labkit.site.formulas import mathml

HEIGHT, WIDTH, TALLEST = 800, 1280, 520  # of a slide, and of a picture on it, in pixels
FETCHED = re.compile(r"@import [^;]*;")  # the theme's font; the reader's own will do
STYLE = f"""
.reveal {{ font-size: 30px; }}
.reveal .slides section {{ text-align: left; }}
.reveal h1 {{ font-size: 2em; }}
.reveal h2 {{ font-size: 1.6em; }}
.reveal h3 {{ font-size: 1.2em; }}
.reveal h1, .reveal h2, .reveal h3 {{ text-transform: none; }}
.reveal .fitted {{ display: flex; flex-direction: column; max-height: {HEIGHT - 20}px; }}
.reveal .fitted > * {{ flex: none; }}
.reveal .fitted > img {{ flex: 0 1 {TALLEST}px; min-height: 0; margin: 0.5em 0; }}
.reveal .fitted > img {{ object-fit: contain; }}
.reveal code {{ background: #f2f2f2; padding: 0 0.15em; }}
.reveal math[display="block"] {{ margin: 0.6em 0; font-size: 0.9em; }}
"""
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: slides</title>
<style>{style}</style>
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
<script>{script}</script>
<script>
Reveal.initialize({{width: {width}, height: {height}, hash: true, slideNumber: true}});
</script>
</body>
</html>
"""


def slide_page(notebook: NotebookNode) -> str:
    """Return the page of a notebook of slides, as `slides_of` makes it.

    Raises
    ------
    ValueError
        If the extra ``site`` is not installed.
    """
    markdown = _markdown()
    reveal = resources.files("sphinx_revealjs") / "_static" / "revealjs" / "dist"
    sheets = [(reveal / name).read_text("utf-8") for name in ("reveal.css", "theme/white.css")]
    return PAGE.format(
        title=escape(notebook.cells[0].source.split("\n")[0].lstrip("# ")),
        style="\n".join([*(FETCHED.sub("", sheet) for sheet in sheets), STYLE]),
        slides="\n".join(_slides(notebook, markdown)),
        script=(reveal / "reveal.js").read_text("utf-8"),
        width=WIDTH,
        height=HEIGHT,
    )


def _markdown() -> Any:
    """Return what makes HTML of Markdown and MathML of formulas."""
    try:
        import latex2mathml  # noqa: F401
        import sphinx_revealjs  # noqa: F401
        from markdown_it import MarkdownIt
        from mdit_py_plugins.dollarmath import dollarmath_plugin
    except ImportError as error:
        raise ValueError(
            f'slides need {error.name}, which is not installed: pip install "labkit[site]", or '
            'pip install -e ".[site]" in the course\'s folder.'
        ) from error

    def formula(text: str, options: dict[str, Any]) -> str:
        return mathml(text, display="block" if options["display_mode"] else "inline")

    markdown = MarkdownIt("commonmark").enable("table")
    return markdown.use(dollarmath_plugin, renderer=formula, allow_labels=False)


def _slides(notebook: NotebookNode, markdown: Any) -> Iterator[str]:
    """Yield a section for each slide, with what comes a step later as fragments in it."""
    parts: list[str] = []
    for cell in notebook.cells:
        html = markdown.render(cell.source) if cell.cell_type == "markdown" else _picture(cell)
        if cell.metadata["slideshow"]["slide_type"] == "fragment":
            parts.append(f'<div class="fragment">{html}</div>')
            continue
        if parts:
            yield _section(parts)
        parts = [html]
    yield _section(parts)


def _section(parts: list[str]) -> str:
    """Return a slide; a picture on it takes what the words below it leave."""
    return f'<section><div class="fitted">\n{"".join(parts)}\n</div></section>'


def _picture(cell: NotebookNode) -> str:
    output = cell.outputs[0]
    words = escape(output.metadata["image/png"]["alt"])
    data = output.data["image/png"].replace("\n", "")
    return f'<img src="data:image/png;base64,{data}" alt="{words}">'
