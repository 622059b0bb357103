"""Making the site: a source folder of pages, and Sphinx over it."""

import importlib
import re
import shutil
import tempfile
from importlib import resources
from pathlib import Path

import nbformat

from labkit import __version__
from labkit.checks import registry, selection
from labkit.grading.releasing.release import read_lab
from labkit.grading.releasing.student_readme import FOLDER_MARK, WHOLE_FOLDER
from labkit.site.accessible import mend
from labkit.site.front import front_page
from labkit.site.names import names_page
from labkit.site.notebooks import page

PAGES = resources.files("labkit.site") / "pages"
# A link to a file of the course's folder, which the site does not have.
INTO_THE_FOLDER = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]+\)")
SETTINGS = {
    "project": "Quantization labs",
    "release": __version__,
    "copyright": "the authors of the quantization labs: words CC BY 4.0, code Apache 2.0",
    "extensions": ["myst_nb", "labkit.site.mathml", "labkit.site.terms"],
    "html_math_renderer": "mathml",
    "html_theme": "furo",
    "html_title": "Quantization labs",
    "html_static_path": ["_static"],
    "html_css_files": ["course.css"],
    "html_favicon": "_static/favicon.svg",
    "html_use_index": False,
    "html_copy_source": False,
    "html_show_sourcelink": False,
    "html_show_sphinx": False,
    "html_last_updated_fmt": None,
    "templates_path": [],
    "nb_execution_mode": "off",
    "nb_merge_streams": True,
    "myst_enable_extensions": ["dollarmath", "amsmath", "deflist", "colon_fence"],
    "myst_heading_anchors": 3,
    "myst_links_external_new_tab": False,
    "suppress_warnings": ["mystnb.unknown_mime_type"],
}


def build(root: Path, out: Path) -> list[str]:
    """Write the site.

    Parameters
    ----------
    root : Path
        The project's folder, with `solutions/`.
    out : Path
        Where the pages go; made if it is missing. A folder that holds anything but an earlier
        site is refused.

    Returns
    -------
    list of str
        The names of the pages.

    Raises
    ------
    ValueError
        If a page needs what is not there (Sphinx's warnings are errors), if the extra ``site`` is
        missing, or if `out` holds other files.
    """
    Sphinx = _sphinx()
    from labkit.site.terms import terms  # it loads docutils

    nocolor = importlib.import_module("sphinx.util.console").nocolor
    nocolor()
    _require_ours(out)
    with tempfile.TemporaryDirectory() as folder:
        source, pages = Path(folder) / "source", Path(folder) / "pages"
        _write_source(root, source)
        glossary = (source / "glossary.md").read_text(encoding="utf-8")
        said = (Path(folder) / "warnings").open("w+", encoding="utf-8")
        with said:
            app = Sphinx(
                str(source),
                None,
                str(pages),
                str(Path(folder) / "doctrees"),
                "html",
                confoverrides=SETTINGS | {"glossary_terms": terms(glossary)},
                status=None,
                warning=said,
            )
            app.build(force_all=True)
            said.seek(0)
            if warnings := said.read().replace(folder, "").strip():
                raise ValueError(f"the site has broken places; nothing was written:\n{warnings}")
        mend(pages)
        (pages / ".buildinfo").rename(pages / MARK)
        if out.exists():
            shutil.rmtree(out)
        shutil.move(pages, out)
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*.html"))


MARK = ".labkit-site"


def _require_ours(out: Path) -> None:
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / MARK).exists())):
        raise ValueError(
            f"{out} holds something else than an earlier site, which would be deleted. Name a new "
            "folder."
        )


def _sphinx() -> type:
    try:
        import furo  # noqa: F401
        import latex2mathml  # noqa: F401
        import myst_nb  # noqa: F401
        from sphinx.application import Sphinx
    except ImportError as error:
        raise ValueError(
            f'the site needs {error.name}, which is not installed: pip install "labkit[site]", or '
            'pip install -e ".[site]" in the course\'s folder.'
        ) from error
    return Sphinx


def _write_source(root: Path, source: Path) -> None:
    """Write the pages' sources: what stands in `pages`, the labs, and the front page."""
    with resources.as_file(PAGES) as given:
        shutil.copytree(given, source)
    for name in ("NOTICE.md", "LICENSE"):
        shutil.copy(root / name, source / name)
    labs = {}
    for number, stem in registry.STEMS.items():
        labs[number] = page(read_lab(root / "solutions" / f"{stem}.ipynb"), stem, source)
        nbformat.write(labs[number], source / f"{stem}.ipynb")
    (source / "start.md").write_text(_start(root), encoding="utf-8")
    (source / "index.md").write_text(front_page(labs), encoding="utf-8")
    (source / "names.md").write_text(names_page(labs), encoding="utf-8")


def _start(root: Path) -> str:
    """Return the README's section on how to begin, as a page of its own."""
    readme = (root / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^## Start\n(.*?)^## ", readme, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError("README.md has no section '## Start' to make a page of.")
    # A course of one's own is taken from the students' zip.
    left_out = FOLDER_MARK if selection.folder() is None else WHOLE_FOLDER
    text = INTO_THE_FOLDER.sub(r"\1", left_out.sub("", found[1]))
    address = selection.colab()
    where = f"Get the course's folder from <{address.removeprefix('git+')}>.\n" if address else ""
    return f"# Start\n\n{where}{text}"
