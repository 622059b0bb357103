"""The course's site: what `labkit site` makes, read as files and opened in a browser."""

import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

from labkit.checks import registry
from labkit.cli import main
from labkit.grading.releasing.course_map import effort
from labkit.grading.releasing.release import exercise_id

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 10 * 2**20
LINK = re.compile(r'\b(?:href|src)="([^"]*)"')
LOADED = re.compile(r'<(?:script|img|link|iframe|source)\b[^>]*?\b(?:src|href)="([^"]+)"')
ANCHOR = re.compile(r'\bid="([^"]+)"')
SOLUTION = re.compile(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", re.DOTALL)
AXE = """async options => (await axe.run(document, {resultTypes: ["violations"], ...options}))
    .violations.map(v => `${v.id}: ${v.nodes[0].html.slice(0, 150)}`)"""
# What depends on the width is asked twice. The theme's colours are the same on every page: these
# have all of them (cards, code, tables, formulas, links).
ON_WIDTH = {"runOnly": ["scrollable-region-focusable"]}
ON_THEME = {"runOnly": ["color-contrast", "link-in-text-block"]}
COLOURFUL = ("index.html", "lab0_formats.html", "glossary.html")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course") / "site"
    assert main(["site", str(folder), "--root", str(ROOT)]) == 0
    return folder


@pytest.fixture(scope="module")
def texts(site):
    """Give the HTML of every page by its name."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(site.glob("*.html"))}


@pytest.fixture(scope="module")
def address(site):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def plain(html: str) -> str:
    """Return the words of a page without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))


@pytest.mark.parametrize("stem", registry.STEMS.values())
def test_a_lab_has_its_text_and_pictures_and_no_answer(stem, texts):
    html = texts[f"{stem}.html"]
    solution = nbformat.read(ROOT / "solutions" / f"{stem}.ipynb", as_version=4)
    shown = [
        o for c in solution.cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})
    ]
    assert html.count("_static/pictures/") == len(shown)
    words = plain(html)
    for cell in solution.cells:
        found = SOLUTION.search(cell.source) if exercise_id(cell) else None
        if found is None:
            continue
        assert f'NotImplementedError("Exercise {exercise_id(cell)}")' in html.replace(
            "&quot;", '"'
        ) or (f"Exercise {exercise_id(cell)}" in words)
        # A line of an answer may stand in the lab's own text; all of them together do not.
        lines = [" ".join(line.split()) for line in found[1].splitlines() if len(line.split()) > 3]
        assert not lines or not all(line in words for line in lines), exercise_id(cell)


def test_nothing_is_asked_of_another_host(texts):
    loaded = [url for html in texts.values() for url in LOADED.findall(html)]
    assert loaded
    assert [url for url in loaded if urlsplit(url).netloc] == []


def test_every_link_and_anchor_within_the_site_leads_somewhere(site, texts):
    anchors = {name: set(ANCHOR.findall(html)) for name, html in texts.items()}
    broken = []
    for name, html in texts.items():
        for url in LINK.findall(html):
            parts = urlsplit(url)
            if parts.scheme or parts.netloc or not (parts.path or parts.fragment):
                continue
            page = unquote(parts.path) or name
            there = (site / page).exists()
            if not there or (parts.fragment and parts.fragment not in anchors.get(page, set())):
                broken.append(f"{name}: {url}")
    assert broken == []


def test_first_uses_lead_to_the_glossary(texts):
    html = texts["lab1_linear.html"]
    assert html.count('href="glossary.html#term-zero-point"') == 1
    assert html.count('href="glossary.html#term-per-channel"') == 1


def test_the_page_of_names_has_every_lab(texts):
    headings = re.findall(r"<h2>(.*?)<a", texts["names.html"])
    assert headings == [f"{number} {registry.title(number)}" for number in registry.STEMS]


@pytest.mark.parametrize("number", registry.STEMS)
def test_the_front_page_says_the_minutes_of_the_map(number, texts):
    lab = nbformat.read(ROOT / "labs" / f"{registry.STEMS[number]}.ipynb", as_version=4)
    core, everything = effort(number, lab, core=True)[1], effort(number, lab)[1]
    words = f"about {core} minutes for the core path, {everything} for all"
    entry = re.search(
        rf'<a class="lab" href="{registry.STEMS[number]}.html">.*?</a>', texts["index.html"]
    )
    assert words in plain(entry[0])


def test_no_formula_shows_a_command(texts):
    drawn = [math for html in texts.values() for math in re.findall(r"<math.*?</math>", html)]
    assert len(drawn) > 100
    assert [math for math in drawn if "\\" in plain(math)] == []


def test_it_is_small(site):
    assert sum(path.stat().st_size for path in site.rglob("*")) < LARGEST


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert main(["site", str(tmp_path), "--root", str(ROOT)]) == 1
    assert "holds something else" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("width", "scheme", "options", "chosen"),
    [
        (390, "light", {}, ()),
        (1400, "light", ON_WIDTH, ()),
        (390, "dark", ON_THEME, COLOURFUL),
        (1400, "dark", ON_THEME, COLOURFUL[:1]),
    ],
)
def test_every_page_can_be_read_by_everybody(
    width, scheme, options, chosen, address, texts, browser, axe
):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    for name in chosen or texts:
        page.goto(f"{address}/{name}")
        page.evaluate(axe)
        assert page.evaluate(AXE, options) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    assert said == []
    assert [url for url in asked if not url.startswith((address, "data:"))] == []
    context.close()


def test_the_first_screen_shows_what_one_will_be_able_to_do(address, browser):
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(address)
    for words in ("knows your slip", "falls apart", "8, 4 and 3 bits", "C program"):
        box = page.locator("figure", has_text=words).bounding_box()
        assert box["y"] + box["height"] <= 900, words
    assert page.locator("a.door", has_text="Start").bounding_box()["y"] < 450
    page.close()


def test_the_search_finds_a_zero_point(address, browser):
    page = browser.new_page()
    page.goto(address)
    page.get_by_label("Search").fill("zero point")
    page.keyboard.press("Enter")
    found = page.locator("#search-results li a")
    found.first.wait_for()
    assert "Glossary" in found.first.inner_text()
    assert page.locator("#search-results li a", has_text="Lab 1").count()
    page.close()
