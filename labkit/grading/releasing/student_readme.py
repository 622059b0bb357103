"""README.md as the zip for students has it: of what they hold in their hands, and nothing else."""

import re
from collections.abc import Collection

FOLDER_MARK = re.compile(r"<!-- /?whole folder -->\n?")
WHOLE_FOLDER = re.compile(r"<!-- whole folder -->\n?.*?<!-- /whole folder -->\n?", re.DOTALL)
PICTURES = re.compile(r"<table>.*?</table>\n*", re.DOTALL)
PICTURE = re.compile(r'src="([^"]+)"')
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)([^)#]+)[^)]*\)")
ROW_OF_A_LAB = re.compile(rf"^\| {LINK.pattern} \|.*\n", re.MULTILINE)


def student_readme(readme: str, names: Collection[str]) -> str:
    """Return the text without what is for who has the whole folder, and what the zip lacks.

    Parameters
    ----------
    readme : str
        The course's README.md. What stands between ``<!-- whole folder -->`` and
        ``<!-- /whole folder -->`` goes, as do labs and pictures that are not in the zip; other
        links to what is not there become words.
    names : collection of str
        The files in the zip, from its folder on.
    """

    def with_all_pictures(found: re.Match[str]) -> str:
        return found[0] if all(name in names for name in PICTURE.findall(found[0])) else ""

    text = PICTURES.sub(with_all_pictures, WHOLE_FOLDER.sub("", readme))
    text = ROW_OF_A_LAB.sub(lambda row: row[0] if row[2] in names else "", text)
    return LINK.sub(lambda link: link[0] if link[2] in names else link[1], text)
