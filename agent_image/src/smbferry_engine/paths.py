r"""Names and paths: what may be copied, how two names are the same, what a person is shown.

Inside the engine a path is ``\`` separated and relative to the transfer's root, as the wire wants it; its characters
are UTF-16 code units kept exactly. Only :func:`display` makes it fit for a log or a status.
"""

import re
from collections.abc import Sequence
from typing import Final

from blake3 import blake3

from smbferry_engine.upcase import upcase

SEPARATOR: Final = "\\"
TEMPORARY_PREFIX: Final = ".smbferry-"
MAX_NAME_UNITS: Final = 255
MAX_PATH_UNITS: Final = 32_000
"""From the share's root, for a folder: a name in it still fits into the 65,535 bytes of a CREATE's path."""
MAX_DEPTH: Final = 1_000

ILLEGAL: Final = re.compile(r'[\x00-\x1f"*/:<>?\\|]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³])(?:\..*)?", re.IGNORECASE | re.DOTALL)
# Of names in upper case with a "/" on either side: characters and beginnings that call for a closer look.
_ODD_CHARACTER = re.compile(r'[\x00-\x1f"*:<>?\\|]')
_ODD_BEGINNING = re.compile(f"/(?:/|CON|PRN|AUX|NUL|COM|LPT|{re.escape(TEMPORARY_PREFIX.upper())})")
_TEMPORARY = re.compile(r"\.smbferry-[0-9a-f]{8}-[0-9a-f]{16}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPED = re.compile(r"\\u([0-9a-f]{4})")
_VERSION_PART = 4
_NAME_PART = 8
_TEMPORARY_NAMES = 3


def join(parent: str, name: str) -> str:
    """``name`` within ``parent``; the root is the empty path."""
    return f"{parent}{SEPARATOR}{name}" if parent else name


def split(path: str) -> tuple[str, str]:
    """Parent and name."""
    parent, _, name = path.rpartition(SEPARATOR)
    return parent, name


def units(text: str) -> int:
    """UTF-16 code units, which names and paths are counted in: two for a character beyond 0xFFFF."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def from_user(path: str) -> str:
    """An endpoint's ``/a/b`` as an engine path; ValueError says which part can't be used."""
    parts = [part for part in path.split("/") if part]
    for part in parts:
        problem = name_problem(part)
        if problem:
            raise ValueError(f"path {path!r}: {problem}")
    return SEPARATOR.join(parts)


def display(path: str) -> str:
    r"""For a person: ``/`` separated from the root, lone surrogates and control characters written as ``\uXXXX``."""
    text = "/" + path.replace(SEPARATOR, "/")
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub(_escape, _SURROGATE.sub(_escape, text))


def from_display(shown: str) -> str:
    r"""The path that :func:`display` showed; a name of a listing holds no backslash, so none is mistaken."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), shown.removeprefix("/").replace("/", SEPARATOR))


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match.group()):04x}"


def name_problem(name: str) -> str | None:
    """Why a name from a listing may not be copied, or None. Such a name is never sent back to any server."""
    if name in ("", ".", ".."):
        return f"a name expected, found {name!r}"
    illegal = ILLEGAL.search(name)
    if illegal:
        return f"the character {illegal.group()!r} is not allowed in names on SMB shares"
    if len(name) > MAX_NAME_UNITS // 2 and units(name) > MAX_NAME_UNITS:
        return f"expected at most {MAX_NAME_UNITS} UTF-16 units, got {units(name)}"
    if name[-1] in ". ":
        return "names that end in a dot or a space can't be opened by Windows clients"
    if _RESERVED.fullmatch(name):
        return "the name is reserved for a device on Windows"
    return None


def is_link_to_self_or_parent(name: str) -> bool:
    """Whether it is one of the two entries that every folder has."""
    return name in (".", "..")


def case_key(name: str) -> str:
    """Equal for names that SMB takes for the same (see :mod:`~smbferry_engine.upcase`)."""
    return upcase(name)


def plain_keys(names: Sequence[str]) -> list[str] | None:
    """:func:`case_key` of each of many names; None unless all are plain: none without a file's own name
    (:func:`is_link_to_self_or_parent`), none with a :func:`name_problem`, none that may be a temporary one.

    It looks at all of them at once, which takes a tenth of the time; None only means that each must be looked at.
    """
    text = "/".join(("", *names, ""))
    upper = upcase(text)
    if "./" in upper or " /" in upper or _ODD_CHARACTER.search(upper) or _ODD_BEGINNING.search(upper):
        return None
    keys = upper.split("/")[1:-1]
    return keys if len(keys) == len(names) else None


def temporary_names(name: str, version: bytes) -> tuple[str, ...]:
    """Where the content of one ``version`` of ``name`` is gathered: always the same, so that a next attempt finds it.

    The first that can be opened is used: a dead client's open may still hold the others.
    """
    source = blake3(version).hexdigest(_VERSION_PART)
    target = case_key(name).encode("utf-16-le", "surrogatepass")
    parts = (blake3(target + bytes(attempt)).hexdigest(_NAME_PART) for attempt in range(_TEMPORARY_NAMES))
    return tuple(f"{TEMPORARY_PREFIX}{source}-{part}" for part in parts)


def is_temporary(name: str) -> bool:
    """Whether a name is one that :func:`temporary_names` gives."""
    return _TEMPORARY.fullmatch(name) is not None


def overlaps(first: str, second: str) -> bool:
    """Whether two engine paths are equal or one lies within the other, as SMB compares names."""
    one, two = (case_key(path).split(SEPARATOR) if path else [] for path in (first, second))
    shorter = min(len(one), len(two))
    return one[:shorter] == two[:shorter]
