r"""Which files and folders are selected: by patterns in AWS DataSync's grammar, files also by size, time and attribute.

A pattern is matched against the path from the transfer's root, ``/`` separated. ``*`` stands for any characters, also
``/``; ``\`` escapes ``*``, ``|`` and ``\``. A pattern that matches a folder covers all that is in it, and a ``/`` at
its end changes nothing. An include may hold ``*`` only as its last character. An exclude beats an include. Case does
not matter.
"""

import re
from collections.abc import Sequence
from enum import Enum
from typing import Final

from smbferry_engine.model import Selection
from smbferry_engine.paths import SEPARATOR, case_key
from smbferry_engine.wire.attributes import (
    ARCHIVE,
    HIDDEN,
    OFFLINE,
    READONLY,
    RECALL_ON_DATA_ACCESS,
    RECALL_ON_OPEN,
    SYSTEM,
    TEMPORARY,
    is_link,
)
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_words.options import FileAttribute

_ESCAPABLE = "*|\\"
# MS-FSCC 2.6.
_MASKS: Final = {
    FileAttribute.READ_ONLY: READONLY,
    FileAttribute.HIDDEN: HIDDEN,
    FileAttribute.SYSTEM: SYSTEM,
    FileAttribute.ARCHIVE: ARCHIVE,
    FileAttribute.TEMPORARY: TEMPORARY,
    FileAttribute.OFFLINE: OFFLINE | RECALL_ON_OPEN | RECALL_ON_DATA_ACCESS,
}
_EVERYTHING: Final = Selection()


class Descent(Enum):
    """What a folder means for the walk."""

    NONE = "none"  # not selected: it is not listed
    THROUGH = "through"  # it only leads to something that is included
    WHOLE = "whole"  # selected


def _parse(pattern: str) -> list[str | None]:
    """Return the pattern's pieces: characters, and None for ``*``. Raises ValueError for an invalid escape."""
    pieces: list[str | None] = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if not escaped or escaped not in _ESCAPABLE:
                raise ValueError(f"pattern {pattern!r}: expected one of * | \\ behind the backslash")
            pieces.append(escaped)
        elif character == "*":
            if not pieces or pieces[-1] is not None:
                pieces.append(None)
        elif character == "|":
            raise ValueError(
                f"pattern {pattern!r}: expected one pattern for each entry of the list; write \\| for the character"
            )
        else:
            pieces.append(character)
    while len(pieces) > 1 and pieces[-1] == "/":
        pieces.pop()
    if not pieces or pieces == ["/"]:
        raise ValueError(f"pattern {pattern!r}: expected something to match")
    if pieces[0] not in ("/", None):
        raise ValueError(f"pattern {pattern!r}: expected a / or * at its start")
    return pieces


def _expression(pieces: list[str | None]) -> str:
    return "".join(".*" if piece is None else re.escape(case_key(piece)) for piece in pieces)


def _ordered(name: str, least: int | None, most: int | None) -> None:
    if least is not None and most is not None and least > most:
        raise ValueError(f"{name}: expected a minimum of at most the maximum, got {least} and {most}")


class Filters:
    """Decides which files and folders are selected.

    The constructor raises ValueError for an invalid pattern, and for a minimum above its maximum.
    """

    def __init__(
        self, include: Sequence[str] = (), exclude: Sequence[str] = (), selection: Selection = _EVERYTHING
    ) -> None:
        includes = [_parse(pattern) for pattern in include]
        for pattern, pieces in zip(include, includes, strict=True):
            if None in pieces[:-1]:
                raise ValueError(f"include pattern {pattern!r}: * is allowed only as its last character")
        self._include = self._compile(includes)
        self._exclude = self._compile([_parse(pattern) for pattern in exclude])
        _ordered("minSize and maxSize", selection.min_size, selection.max_size)
        _ordered("maxAge and minAge as write times", selection.written_from, selection.written_until)
        self._selection = None if selection == _EVERYTHING else selection
        self._without = 0
        for attribute in selection.without:
            self._without |= _MASKS[attribute]
        self._leads = ["".join(case_key(piece) for piece in pieces if piece is not None) for pieces in includes]

    @staticmethod
    def _compile(patterns: list[list[str | None]]) -> re.Pattern[str] | None:
        if not patterns:
            return None
        return re.compile(f"(?:{'|'.join(_expression(pieces) for pieces in patterns)})(?:/.*)?", re.DOTALL)

    @property
    def want_all(self) -> bool:
        """True if everything is selected."""
        return self._include is None and self._exclude is None and self._selection is None

    def wants_file(self, path: str, entry: DirectoryEntry) -> bool:
        """Return whether the file or link at ``path`` (an engine path), listed as ``entry``, is selected."""
        if self.want_all:
            return True
        if self._selection is not None and not is_link(entry) and not self._selects(self._selection, entry):
            return False
        text = _text(path)
        return not self._excluded(text) and (self._include is None or self._include.fullmatch(text) is not None)

    def descent(self, path: str) -> Descent:
        """Return what the folder at ``path`` (an engine path) means for the walk."""
        if self._include is None and self._exclude is None:
            return Descent.WHOLE
        text = _text(path)
        if self._excluded(text):
            return Descent.NONE
        if self._include is None or self._include.fullmatch(text):
            return Descent.WHOLE
        return Descent.THROUGH if any(lead.startswith(text + "/") for lead in self._leads) else Descent.NONE

    def names(self, path: str) -> bool:
        """Return whether an include names ``path`` (an engine path), or something in it."""
        text = _text(path)
        return any(lead == text or lead.startswith(text + "/") for lead in self._leads)

    def _selects(self, selection: Selection, entry: DirectoryEntry) -> bool:
        least, most = selection.min_size, selection.max_size
        since, until = selection.written_from, selection.written_until
        return (
            not entry.attributes & self._without
            and (least is None or entry.size >= least)
            and (most is None or entry.size <= most)
            and (since is None or entry.write_time >= since)
            and (until is None or entry.write_time <= until)
        )

    def _excluded(self, text: str) -> bool:
        return self._exclude is not None and self._exclude.fullmatch(text) is not None


def _text(path: str) -> str:
    return "/" + case_key(path).replace(SEPARATOR, "/")
