"""Terms of the glossary become links where a page uses them first."""

import re
from collections.abc import Iterator

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

GLOSSARY = "glossary"
# Pages with other words: "code" in "VS Code" is none of a tensor's.
WITHOUT = (GLOSSARY, "start", "NOTICE")
# Not in code, headings, links, formulas or the summary line of something folded.
_CLOSED = (
    nodes.literal,
    nodes.literal_block,
    nodes.reference,
    nodes.title,
    nodes.math,
    nodes.math_block,
    nodes.raw,
    addnodes.pending_xref,
)
_ENTRIES = re.compile(r"^```{glossary}\n(.*?)^```", re.MULTILINE | re.DOTALL)


def terms(glossary: str) -> list[str]:
    """Return the terms of a glossary: in its directive, the lines that are not indented."""
    lines = [line for entries in _ENTRIES.findall(glossary) for line in entries.splitlines()]
    return [line for line in lines if line and not line.startswith(" ")]


class FirstUse(SphinxTransform):
    """Link the first use of each term on a page."""

    default_priority = 500

    def apply(self, **options: object) -> None:
        """Walk through the page's text once."""
        if self.env.docname in WITHOUT or not self.config.glossary_terms:
            return
        unused = {term.lower(): term for term in self.config.glossary_terms}
        for text in list(self.document.findall(nodes.Text)):
            if unused and not any(isinstance(parent, _CLOSED) for parent in _parents(text)):
                _link(text, unused)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform, and the terms as a setting."""
    app.add_config_value("glossary_terms", [], "env")
    app.add_transform(FirstUse)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _parents(node: nodes.Node) -> Iterator[nodes.Node]:
    while node.parent is not None:
        node = node.parent
        yield node


def _link(text: nodes.Text, unused: dict[str, str]) -> None:
    """Replace a text by itself with links to the terms in it, and take these from `unused`."""
    words = "|".join(re.escape(term) for term in sorted(unused, key=lambda t: (-len(t), t)))
    pattern = re.compile(rf"(?<![\w-])({words})(?:s|es)?(?![\w-])", re.IGNORECASE)
    source, parts, end = text.astext(), [], 0
    for match in pattern.finditer(source):
        term = unused.pop(match[1].lower(), None)
        if term is None:
            continue
        parts += [nodes.Text(source[end : match.start()]), _reference(term, match[0])]
        end = match.end()
    if parts:
        text.parent.replace(text, [*parts, nodes.Text(source[end:])])


def _reference(term: str, words: str) -> addnodes.pending_xref:
    reference = addnodes.pending_xref(
        "", refdomain="std", reftype="term", reftarget=term, refexplicit=True, refwarn=True
    )
    reference += nodes.inline("", words, classes=["xref", "std", "std-term", "term"])
    return reference
