"""Formulas as MathML, for pages and slides."""

import re

# latex2mathml leaves these as they are behind \big and its like.
_DELIMITERS = {
    r"\lfloor": "⌊",
    r"\rfloor": "⌋",
    r"\lceil": "⌈",
    r"\rceil": "⌉",
    r"\langle": "⟨",
    r"\rangle": "⟩",
    r"\{": "{",
    r"\}": "}",
    r"\|": "‖",
}
_LEFT = re.compile(r"(<m\w+[^>]*>)(\\[^<]+)(?=</m)")


def mathml(formula: str, display: str = "inline") -> str:
    """Return a formula in LaTeX as MathML.

    Parameters
    ----------
    formula : str
        Without the dollars.
    display : str
        "inline" or "block".

    Raises
    ------
    ValueError
        If a command would stand in the page as it is written.
    """
    from latex2mathml.converter import convert

    def drawn(found: re.Match[str]) -> str:
        if found[2] not in _DELIMITERS:
            raise ValueError(f"{found[2]} in the formula {formula!r} has no MathML; write it anew.")
        return found[1] + _DELIMITERS[found[2]]

    return _LEFT.sub(drawn, convert(formula, display=display))
