"""A student's desk: JupyterLab on a free loopback port, and Chromium in front of it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError

TOKEN = "desk"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
START_SECONDS = 60

PANEL = "window.jupyterapp.shell.currentWidget"
EXECUTE = "async ([command, args]) => await window.jupyterapp.commands.execute(command, args)"
READY = f"""async () => {{
    await window.jupyterapp.restored;
    await {PANEL}.sessionContext.ready;
}}"""
CELLS = f"""() => {PANEL}.content.widgets.map(cell => ({{
    name: (cell.model.getMetadata("nbgrader") || {{}}).grade_id || "",
    type: cell.model.type,
    source: cell.model.sharedModel.getSource(),
    outputs: cell.model.type === "code" ? cell.model.outputs.toJSON() : [],
}}))"""
SET_SOURCE = f"""([position, source]) =>
    {PANEL}.content.widgets[position].model.sharedModel.setSource(source)"""
RUN_CELL = f"""async position => {{
    const notebook = {PANEL}.content;
    notebook.deselectAll();
    notebook.activeCellIndex = position;
    await window.jupyterapp.commands.execute("notebook:run-cell");
}}"""
INSERT = f"""async position => {{
    {PANEL}.content.activeCellIndex = position;
    await window.jupyterapp.commands.execute("notebook:insert-cell-below");
}}"""
RESTART = f"""async () => {{
    await {PANEL}.sessionContext.session.kernel.restart();
    await {PANEL}.sessionContext.ready;
}}"""


def missing() -> str:
    """Return why no browser test can run here, or an empty string."""
    if CHROMIUM is None:
        return "chromium is not installed (on Debian: apt-get install chromium)"
    try:
        import jupyterlab  # noqa: F401
        import playwright  # noqa: F401
    except ImportError as error:
        return f"{error.name} is not installed (pip install -r requirements.txt -e '.[test]')"
    return ""


@contextmanager
def jupyterlab(folder: Path, home: Path) -> Iterator[str]:
    """Run JupyterLab over `folder`, with settings of its own under `home`; give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    quiet = json.dumps({"fetchNews": "false", "checkForUpdates": False})
    (settings / "notification.jupyterlab-settings").write_text(quiet)
    environment = {key: value for key, value in os.environ.items() if key != "LABKIT_PROGRESS"}
    environment |= {
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }
    environment.pop("MPLBACKEND", None)  # the kernel chooses the inline backend, as a student's
    options = {
        "--port": port,
        "--ServerApp.port_retries": 0,
        "--ServerApp.root_dir": folder,
        "--IdentityProvider.token": TOKEN,
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--expose-app-in-browser", *(f"{key}={value}" for key, value in options.items())]
    with (home / "jupyterlab.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/api?token={TOKEN}", server, home / "jupyterlab.log")
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait_for(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except URLError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()}") from None
            time.sleep(0.2)


class Notebook:
    """One open notebook, driven through JupyterLab's own commands."""

    def __init__(self, page: Any, address: str, name: str) -> None:
        self.page = page
        page.goto(f"{address}/lab/tree/{name}?reset&token={TOKEN}")
        page.wait_for_function(f"window.jupyterapp && {PANEL} && {PANEL}.sessionContext")
        page.evaluate(READY)

    def execute(self, command: str, **arguments: Any) -> Any:
        """Run one of JupyterLab's commands."""
        return self.page.evaluate(EXECUTE, [command, arguments])

    def cells(self) -> list[dict[str, Any]]:
        """Return name (nbgrader's), type, source and outputs of every cell."""
        return self.page.evaluate(CELLS)

    def run_all(self) -> bool:
        """Run all cells; return whether none of them raised."""
        return self.execute("notebook:run-all-cells")

    def restart(self) -> None:
        """Restart the kernel."""
        self.page.evaluate(RESTART)

    def position(self, name: str) -> int:
        """Return where the cell called `name` stands."""
        return [cell["name"] for cell in self.cells()].index(name)

    def run(self, position: int) -> str:
        """Run one cell; return its outputs as text."""
        self.page.evaluate(RUN_CELL, position)
        return text(self.cells()[position])

    def write(self, position: int, source: str) -> None:
        """Put `source` in the place of a cell's text."""
        self.page.evaluate(SET_SOURCE, [position, source])

    def insert_below(self, position: int, source: str) -> int:
        """Write a new code cell below another; return where it stands."""
        self.page.evaluate(INSERT, position)
        self.write(position + 1, source)
        return position + 1

    def show(self, position: int) -> Any:
        """Scroll to a cell; return the locator of its outputs."""
        self.page.evaluate(f"async i => await {PANEL}.content.scrollToItem(i, 'center')", position)
        return self.page.locator(
            f".jp-NotebookPanel:not(.lm-mod-hidden) [data-windowed-list-index='{position}'] "
            ".jp-Cell-outputArea"
        )


def text(cell: dict[str, Any]) -> str:
    """Return what stands below a cell, as plain text."""
    return "\n".join(_plain(output) for output in cell["outputs"])


def _plain(output: dict[str, Any]) -> str:
    if output["output_type"] == "error":
        return f"{output['ename']}: {output['evalue']}"
    found = output.get("text", output.get("data", {}).get("text/plain", ""))
    return found if isinstance(found, str) else "".join(found)
