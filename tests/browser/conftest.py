"""JupyterLab as a student starts it, and a browser that reads and types in it.

Skips, with the reason, where playwright or Chromium is missing.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from accessibility import axe_source
from browsers import chromium
from nbformat import from_dict

from labkit.start import start

TOKEN = "a-token-for-the-tests"
SECONDS = 600  # how long to wait for what never comes: a busy machine is no bug
SMALL_DATA = Path(__file__).parents[1] / "small_data.py"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
# What JupyterLab itself complains about; nothing of it is ours.
NOT_OURS = (
    "favicon",
    "Failed to load resource",
    "net::ERR",
    "WebSocket",
    "Content Security Policy",
)


@pytest.fixture(scope="session")
def labs(tmp_path_factory):
    """A student's copy of the labs."""
    folder = tmp_path_factory.mktemp("desk") / "labs"
    start(folder)
    return folder


@pytest.fixture(scope="session")
def server(labs):
    """A JupyterLab over the copy of the labs; its address."""
    if not chromium():
        pytest.skip("Chromium is missing (Debian's package chromium)")
    folder = labs.parent
    settings = folder / "settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "HOME": str(folder),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "LABKIT_PROGRESS": ".labkit",  # beside the notebook, as without the tests
        "PYTHONSTARTUP": str(SMALL_DATA),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    del environment["MPLBACKEND"]  # as people run it, with pictures
    command = [sys.executable, "-m", "jupyterlab", "labs/", "--no-browser", "--allow-root"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", "--expose-app-in-browser"]
    command += [f"--IdentityProvider.token={TOKEN}"]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/api/status?token={TOKEN}", process, folder / "server.log")
        yield address
    finally:
        process.terminate()
        process.wait(SECONDS)


def wait_for(address, process, log):
    """Wait until the server answers."""
    end = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(address, timeout=60):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing")
    if not chromium():
        pytest.skip("Chromium is missing (Debian's package chromium)")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        yield running
        running.close()


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core."""
    return axe_source()


@pytest.fixture(scope="session")
def desk_with(server, browser):
    """A context manager that opens a notebook in a tab of its own, and gives its `Desk`."""

    @contextmanager
    def opened(notebook, blocked=None):
        desk = Desk(browser, f"{server}/lab/tree/{notebook}?reset&token={TOKEN}", blocked)
        yield desk
        desk.close()

    return opened


@pytest.fixture(scope="session")
def one_desk(desk_with):
    """A JupyterLab that stays open from lab to lab, as a student's: starting it costs most."""
    with desk_with("index.ipynb") as desk:
        yield desk


@pytest.fixture
def open_lab(one_desk):
    """A function that opens a notebook in place of the one before, and returns the `Desk`."""
    return one_desk.turn_to


class Desk:
    """A notebook open in JupyterLab, as a student has it."""

    def __init__(self, browser, address, blocked=None):
        self.address = address
        self.page = browser.new_page(viewport={"width": 1200, "height": 1000})
        self.page.set_default_timeout(1000 * SECONDS)
        self.console_errors = []
        self.page.on("console", self._listen)
        self.hosts = set()
        self.page.on(
            "request", lambda request: self.hosts.add(urlsplit(request.url).hostname or "")
        )
        if blocked:
            self.page.route(blocked, lambda route: route.abort())
        self.open()

    def open(self):
        """Load the page, also again; return when its notebook has a kernel."""
        self.page.goto(self.address)
        self.page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.sessionContext")
        self._js(
            "async () => { await window.jupyterapp.restored;"
            "await window.jupyterapp.shell.currentWidget.sessionContext.ready }"
        )

    def turn_to(self, notebook):
        """Put the notebook away, unsaved, and open another one; return when it has a kernel."""
        self.shut_kernel_down()
        self.console_errors.clear()
        self.hosts.clear()
        self._js(
            "async path => { const app = window.jupyterapp; app.shell.currentWidget.dispose();"
            "const w = await app.commands.execute('docmanager:open', {path});"
            "await w.context.ready; await w.sessionContext.ready; app.shell.activateById(w.id) }",
            notebook,
        )
        self.page.wait_for_function(
            "path => window.jupyterapp.shell.currentWidget?.context?.path == path", arg=notebook
        )
        return self

    def _listen(self, message):
        ours = not any(words in message.text for words in NOT_OURS)
        if message.type == "error" and ours:
            self.console_errors.append(message.text)

    def _js(self, script, argument=None):
        return self.page.evaluate(script, argument)

    def _content(self, expression, argument=None):
        widget = "window.jupyterapp.shell.currentWidget"
        return self._js(
            f"async a => {{ const w = {widget}, c = w.content; {expression} }}", argument
        )

    def command(self, name, **arguments):
        """Run one of JupyterLab's commands; true unless it failed."""
        return self._js(
            "async a => await window.jupyterapp.commands.execute(a[0], a[1])", [name, arguments]
        )

    def theme(self, name):
        """Change JupyterLab's theme, and wait until its colours are there."""
        self.command("apputils:change-theme", theme=name)
        self.page.wait_for_function(
            """dark => {
                const body = getComputedStyle(document.body)
                const probe = document.body.appendChild(document.createElement('i'))
                probe.style.color = body.getPropertyValue('--jp-layout-color0')
                const [red] = getComputedStyle(probe).color.match(/\\d+/g).map(Number)
                probe.remove()
                return document.body.dataset.jpThemeLight === String(!dark) && red < 128 === dark
            }""",
            arg="Dark" in name,
        )

    def run_all(self):
        """Run all cells; true if none raised."""
        return self.command("notebook:run-all-cells")

    def run_all_above(self, index):
        """Run all cells above one; true if none raised."""
        self._content("c.deselectAll(); c.activeCellIndex = a", index)
        return self.command("notebook:run-all-above")

    def restart(self):
        """Restart the kernel, without the question whether one is sure; return when it answers."""
        self._content(
            "const k = w.sessionContext.session.kernel; await k.restart(); await k.info;"
            "await k.requestKernelInfo()"
        )

    def cells(self):
        """Type, source and grade_id of each cell."""
        return self._content(
            "return c.widgets.map(v => [v.model.type, v.model.sharedModel.getSource(),"
            "(v.model.metadata.nbgrader || {}).grade_id || ''])"
        )

    def tracebacks(self):
        """The errors that cells show, with the cell's number."""
        return self._content(
            "return c.widgets.flatMap((v, i) => v.model.type != 'code' ? [] :"
            "v.model.outputs.toJSON().filter(o => o.output_type == 'error')"
            ".map(o => `cell ${i}: ${o.ename}: ${o.evalue}`))"
        )

    def index(self, grade_id):
        """The number of the cell with a grade_id."""
        return next(i for i, cell in enumerate(self.cells()) if cell[2] == grade_id)

    def setup_cell(self):
        """The number of the first cell that a lab needs: the one above it is for Colab alone."""
        code = [i for i, cell in enumerate(self.cells()) if cell[0] == "code"]
        return next(i for i in code if "google.colab" not in self.cells()[i][1])

    def type_into(self, index, source):
        """Replace what stands in a cell."""
        self._content("c.widgets[a[0]].model.sharedModel.setSource(a[1])", [index, source])

    def run(self, index):
        """Run a cell; return its outputs as text, one string."""
        self._content(
            "c.deselectAll(); c.activeCellIndex = a;"
            "await window.jupyterapp.commands.execute('notebook:run-cell')",
            index,
        )
        return self.output(index)

    def output(self, index):
        """What a cell shows, as text."""
        texts = self._content(
            "return c.widgets[a].model.outputs.toJSON().map(o =>"
            "o.data ? o.data['text/plain'] : (o.text || `${o.ename}: ${o.evalue}`))",
            index,
        )
        return "\n".join("".join(text) for text in texts)

    def outputs(self, index):
        """What a cell put out, as a notebook stores it."""
        found = self._content("return c.widgets[a].model.outputs.toJSON()", index)
        return [from_dict(output) for output in found]

    def insert_below(self, index, source):
        """Add a code cell below another; return its number."""
        self._content(
            "c.activeCellIndex = a;"
            "await window.jupyterapp.commands.execute('notebook:insert-cell-below')",
            index,
        )
        self.type_into(index + 1, source)
        return index + 1

    def cell(self, index):
        """The element of a cell that is in sight."""
        return self.page.locator(
            f'.jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell[data-windowed-list-index="{index}"]'
        )

    def show(self, index):
        """Scroll a cell into sight; return its element when its outputs are drawn."""
        self._content("await c.scrollToItem(a, 'start')", index)
        cell = self.cell(index)
        cell.locator(".jp-OutputArea-output").first.wait_for()
        return cell

    def shows(self, index, words):
        """Wait until the browser has drawn a cell with these words; return all that it drew."""
        cell = self.show(index)
        cell.locator(".jp-OutputArea-output").get_by_text(words).first.wait_for()
        return cell.inner_text()

    def shut_kernel_down(self):
        """Stop the kernel, as the server does at its end."""
        self._content("await w.sessionContext.shutdown()")

    def close(self):
        """Close the tab and stop its kernel."""
        self.shut_kernel_down()
        self.page.close()
