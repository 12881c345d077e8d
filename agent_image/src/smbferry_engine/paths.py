r"""Names and paths: which may be copied, which are the same to SMB, how they are displayed.

An engine path is ``\`` separated and relative to the transfer's root; its UTF-16 code units are kept exactly. Use
:func:`display` for logs and statuses.
"""

import re
from collections.abc import Sequence
from typing import Final

from blake3 import blake3

from smbferry_engine.upcase import upcase

SEPARATOR: Final = "\\"
STAGING_PREFIX: Final = ".smbferry-"
MAX_NAME_UNITS: Final = 255
MAX_PATH_UNITS: Final = 32_000
"""From the share's root, for a folder: a name in it still fits into the 65,535 bytes of a CREATE's path."""
MAX_DEPTH: Final = 1_000

ILLEGAL: Final = re.compile(r'[\x00-\x1f"*/:<>?\\|]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³])(?:\..*)?", re.IGNORECASE | re.DOTALL)
# Characters and beginnings of names that need a closer look; names are in upper case between slashes.
_ODD_CHARACTER = re.compile(r'[\x00-\x1f"*:<>?\\|]')
_ODD_BEGINNING = re.compile(f"/(?:/|CON|PRN|AUX|NUL|COM|LPT|{re.escape(STAGING_PREFIX.upper())})")
_STAGING = re.compile(r"\.smbferry-[0-9a-f]{8}-[0-9a-f]{16}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPED = re.compile(r"\\u([0-9a-f]{4})")
_VERSION_PART = 4
_NAME_PART = 8
_STAGING_NAMES = 3


def join(parent: str, name: str) -> str:
    """Return the path of ``name`` in ``parent``; the root is the empty path."""
    return f"{parent}{SEPARATOR}{name}" if parent else name


def split(path: str) -> tuple[str, str]:
    """Split a path into parent and name."""
    parent, _, name = path.rpartition(SEPARATOR)
    return parent, name


def units(text: str) -> int:
    """Return the length in UTF-16 code units, which limits of names and paths count."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def from_user(path: str) -> str:
    """Convert an endpoint's ``/a/b`` to an engine path; raises ValueError for an invalid part."""
    parts = [part for part in path.split("/") if part]
    for part in parts:
        problem = name_problem(part)
        if problem:
            raise ValueError(f"path {path!r}: {problem}")
    return SEPARATOR.join(parts)


def display(path: str) -> str:
    r"""Return the path for a person: ``/`` separated, lone surrogates and control characters as ``\uXXXX``."""
    text = "/" + path.replace(SEPARATOR, "/")
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub(_escape, _SURROGATE.sub(_escape, text))


def from_display(shown: str) -> str:
    r"""Convert the output of :func:`display` back to a path; names contain no backslash, so this is unambiguous."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), shown.removeprefix("/").replace("/", SEPARATOR))


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match.group()):04x}"


def name_problem(name: str) -> str | None:
    """Return why a name from a listing may not be copied, or None. Such a name is never sent to any server."""
    if name in ("", ".", ".."):
        return f"expected a name, got {name!r}"
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
    """Return whether the name is ``.`` or ``..``."""
    return name in (".", "..")


def case_key(name: str) -> str:
    """Return a key that is equal for names that SMB takes for the same (see :mod:`~smbferry_engine.upcase`)."""
    return upcase(name)


def plain_keys(names: Sequence[str]) -> list[str] | None:
    """Return :func:`case_key` of each name; None unless all names are plain: no ``.`` and ``..``, none with a
    :func:`name_problem`, none that may be a staging file's.

    Checking all at once takes a tenth of the time; None only means that each name must be checked.
    """
    text = "/".join(("", *names, ""))
    upper = upcase(text)
    if "./" in upper or " /" in upper or _ODD_CHARACTER.search(upper) or _ODD_BEGINNING.search(upper):
        return None
    keys = upper.split("/")[1:-1]
    return keys if len(keys) == len(names) else None


def staging_names(name: str, version: bytes) -> tuple[str, ...]:
    """Return the names of the staging file for one ``version`` of ``name``; they are always the same.

    The first one that can be opened is used: a dead client may still hold the others.
    """
    source = blake3(version).hexdigest(_VERSION_PART)
    target = case_key(name).encode("utf-16-le", "surrogatepass")
    parts = (blake3(target + bytes(attempt)).hexdigest(_NAME_PART) for attempt in range(_STAGING_NAMES))
    return tuple(f"{STAGING_PREFIX}{source}-{part}" for part in parts)


def is_staging_name(name: str) -> bool:
    """Return whether a name is one that :func:`staging_names` gives."""
    return _STAGING.fullmatch(name) is not None


def overlaps(first: str, second: str) -> bool:
    """Return whether two engine paths are equal or one lies within the other, as SMB compares names."""
    one, two = (case_key(path).split(SEPARATOR) if path else [] for path in (first, second))
    shorter = min(len(one), len(two))
    return one[:shorter] == two[:shorter]
