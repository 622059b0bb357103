"""Write the picture of a card that README.md shows: what an answer with a known slip gets.

::

    python tests/browser/card_picture.py
"""

from pathlib import Path

from playwright.sync_api import sync_playwright

from conftest import FLAGS, chromium
from labkit.site.front import SLIP, slip_card

TARGET = Path(__file__).parents[2] / "labs" / "pictures" / "card.png"
WIDTH = 760  # pixels
PAGE = """<body style="margin:0; background:white"><div id="card" style="padding:8px 16px;
font:15px/1.45 system-ui, 'DejaVu Sans', sans-serif; max-width:{width}px">{card}</div></body>"""


def main() -> None:
    """Draw the card in Chromium, and take a picture of it."""
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        page = browser.new_page(viewport={"width": WIDTH + 40, "height": 900})
        page.set_content(PAGE.format(width=WIDTH, card=slip_card(*SLIP)._repr_html_()))
        page.locator("#card").screenshot(path=TARGET)
        browser.close()


if __name__ == "__main__":
    main()
