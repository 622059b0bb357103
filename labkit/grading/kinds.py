"""What a file is that should be a notebook and is none, in words for whoever handed it in."""

import re
from pathlib import PurePath

# What is in the zip that an office's document is: its first names are readable in the bytes.
DOCUMENTS = (
    (b"word/document", "a Word document"),
    (b"xl/workbook", "an Excel workbook"),
    (b"ppt/presentation", "a PowerPoint presentation"),
    (b"mimetypeapplication/vnd.oasis.opendocument", "an OpenDocument text or sheet"),
    (b"Index/Document.iwa", "a document of Pages, Numbers or Keynote"),
    (b"mimetypeapplication/epub+zip", "an e-book"),
)
# How each kind of file begins.
BEGINNINGS = (
    (b"PK\x03\x04", "a zip archive; unpack it and take the .ipynb file out of it"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "a gzip archive; unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it"),
    (b"Rar!", "a rar archive; unpack it"),
    (b"\xfd7zXZ", "an xz archive; unpack it"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"BM", "a picture"),
    (b"II*\0", "a picture"),
    (b"MM\0*", "a picture"),
    (b"\xd0\xcf\x11\xe0", "a document of Microsoft Office"),
    (b"{\\rtf", "a document of a text editor (RTF)"),
    (b"\x00\x05\x16\x07", "what macOS keeps beside a file, not the file itself"),
    (b"bplist", "a link that macOS keeps (a property list)"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "a Windows shortcut to the notebook"),
    (b"[InternetShortcut]", "a link to a web page"),
    (
        b"version https://git-lfs.github.com/spec/",
        "a pointer of Git LFS: the notebook itself was not uploaded (`git lfs pull` fetches it)",
    ),
)
MARKUP = re.compile(rb"<(!doctype|html|head|body|\?xml|!--|svg|div|script)", re.IGNORECASE)
CONFLICT = re.compile(rb"^(<{7}|={7}|>{7})([ \r\n]|$)", re.MULTILINE)
CODE = re.compile(rb"^(#|import |from \w+ import |def |%|---\s)")
LINK = re.compile(rb"https?://\S+\s*$")
BY_ENDING = {
    ".docx .doc .odt .pages .gdoc": "a document of a word processor",
    ".heic .heif .webp .svg .avif": "a picture",
    ".mp4 .mov .webm .mkv": "a video",
    ".html .htm .mhtml .webarchive": "a web page; download the notebook itself",
    ".py .pyw": "a Python script, not a notebook",
    ".txt .md .tex .rst .csv .json": "plain text, not a notebook",
}
TYPED = ("onlinetext.html", "text.html")
"""How Moodle and Canvas name what was typed into their forms."""
UNTOLD = "no notebook"


def what_it_is(data: bytes) -> str:
    """Return what bytes are that cannot be read as a notebook, or an empty string.

    Parameters
    ----------
    data : bytes
        The file, which is no valid JSON.
    """
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:200]
    if not data.strip(b"\0 \t\r\n"):
        return "filled with nothing but zeros: a copy that was not finished" if data.strip() else ""
    if start.startswith(b"PK"):
        for mark, kind in DOCUMENTS:
            if mark in data:
                return kind
    for beginning, kind in BEGINNINGS:
        if start.startswith(beginning):
            return kind
    if LINK.match(start):
        return "a link to a web page"
    if MARKUP.match(start):
        return "a web page; download the notebook itself, not the page that shows it"
    if len({found[1][:1] for found in CONFLICT.finditer(data)}) > 1:
        return "not finished: it holds the marks of a git conflict (<<<<<<<); resolve it first"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in start:
        return "not written in UTF-8; download it from Jupyter anew and save it in no other program"
    if start.startswith(b"{") and not data.rstrip(b" \t\r\n\0").endswith(b"}"):
        return "not valid JSON: it is cut off in the middle, so uploading or saving did not finish"
    if CODE.match(start):
        return "a Python script or plain text, not a notebook"
    return ""


def what_a_file_is(name: str, data: bytes) -> str:
    """Return what a file is that was handed in instead of a notebook, in any case some words.

    Parameters
    ----------
    name : str
        The file's name, which is believed where its bytes tell nothing.
    data : bytes
        What it holds, or its beginning.
    """
    if not data:
        return "empty"
    if name in TYPED and not LINK.match(data):
        return "text that was typed into the platform's form"
    ending = PurePath(name).suffix.casefold()
    by_ending = (kind for endings, kind in BY_ENDING.items() if ending in endings.split())
    return what_it_is(data) or next(by_ending, UNTOLD)
