"""What people are called in public: by their names, or by words that tell nobody's."""

import hashlib
from collections.abc import Iterable
from typing import Literal

Naming = Literal["names", "pseudonyms"]
COLOURS = (
    *("Amber", "Azure", "Black", "Blue", "Bronze", "Copper", "Coral", "Crimson", "Emerald"),
    *("Golden", "Green", "Grey", "Indigo", "Ivory", "Jade", "Lilac", "Olive", "Orange", "Pearl"),
    *("Purple", "Red", "Rose", "Ruby", "Sand", "Scarlet", "Silver", "Slate", "Teal", "Turquoise"),
    *("Violet", "White", "Yellow"),
)
BIRDS = (
    *("Bittern", "Bullfinch", "Bunting", "Buzzard", "Chough", "Crane", "Cuckoo", "Curlew"),
    *("Dipper", "Dotterel", "Dove", "Dunlin", "Eagle", "Egret", "Falcon", "Fieldfare"),
    *("Gannet", "Godwit", "Goldcrest", "Goshawk", "Grebe", "Guillemot", "Harrier", "Heron"),
    *("Hoopoe", "Ibis", "Jackdaw", "Jay", "Kestrel", "Kingfisher", "Kite", "Lapwing"),
    *("Linnet", "Magpie", "Martin", "Merlin", "Nightjar", "Nuthatch", "Oriole", "Osprey"),
    *("Owl", "Petrel", "Pipit", "Plover", "Puffin", "Quail", "Raven", "Redstart"),
    *("Robin", "Ruff", "Sanderling", "Shrike", "Siskin", "Skylark", "Snipe", "Starling"),
    *("Stork", "Swallow", "Swift", "Teal", "Tern", "Thrush", "Wagtail", "Wren"),
)


def public_names(students: Iterable[str], naming: Naming, secret: int) -> dict[str, str]:
    """Return what each student is called; no two are called the same.

    Parameters
    ----------
    students : iterable of str
        The names of their folders.
    naming : "names" or "pseudonyms"
        Pseudonyms stay the same as long as `secret` does, and tell nothing to who lacks it.
    secret : int
        The secret of the results' folder.
    """
    found: dict[str, str] = {}
    for student in sorted(students):
        name, number = student, 1
        if naming == "pseudonyms":
            name = plain = _pseudonym(student, secret)
            while name in found.values():
                number += 1
                name = f"{plain} {number}"
        found[student] = name
    return found


def _pseudonym(student: str, secret: int) -> str:
    text = repr(("pseudonym", secret, student)).encode("utf-8", "surrogatepass")
    number = int.from_bytes(hashlib.sha256(text).digest())
    number, colour = divmod(number, len(COLOURS))
    return f"{COLOURS[colour]} {BIRDS[number % len(BIRDS)]}"
