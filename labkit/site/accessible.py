"""What the theme leaves to be desired for readers with a keyboard or a screen reader.

Found with axe-core, which `tests/browser/test_site.py` runs over the pages. One line a fault; a
line that fits nowhere any more is an error, so that none outlives its fault unseen.
"""

from pathlib import Path

# (as the theme writes it, as it should be)
_MENDED = (
    ('role="heading"><span class="caption', 'role="heading" aria-level="2"><span class="caption'),
    ('<aside class="sidebar-drawer"', '<aside aria-label="Pages" class="sidebar-drawer"'),
    ('<aside class="toc-drawer', '<aside aria-label="On this page" class="toc-drawer'),
    # A region that scrolls sideways must be reachable without a mouse.
    ("<pre>", '<pre tabindex="0">'),
    (
        '<div class="table-wrapper ',
        '<div tabindex="0" role="group" aria-label="table" class="table-wrapper ',
    ),
    # The words in it say more than the label.
    ('<summary aria-label="Toggle hidden content">', "<summary>"),
    ('<div id="search-results">', '<h1>Search</h1><div id="search-results">'),
)


def mend(pages: Path) -> None:
    """Rewrite the HTML pages in a folder.

    Raises
    ------
    ValueError
        If the theme no longer writes what is mended here.
    """
    unused = {old for old, _ in _MENDED}
    for path in sorted(pages.rglob("*.html")):
        html = path.read_text(encoding="utf-8")
        unused -= {old for old in unused if old in html}
        for old, new in _MENDED:
            html = html.replace(old, new)
        path.write_text(html, encoding="utf-8")
    if unused:
        raise ValueError(f"no page holds {sorted(unused)} any more: see {__file__}.")
