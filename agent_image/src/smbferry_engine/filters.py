r"""Include and exclude patterns in AWS DataSync's grammar, matched without regard to case.

A pattern is matched against the path from the transfer's root, ``/`` separated. ``*`` stands for any characters,
also ``/``; ``\`` takes the meaning from ``*``, ``|`` and ``\``. A pattern that matches a folder covers all that is
in it, and a ``/`` at its end changes nothing. An include may hold ``*`` only as its last character.
An exclude beats an include.
"""

import re
from collections.abc import Sequence
from enum import Enum

from smbferry_engine.paths import SEPARATOR, case_key

_ESCAPABLE = "*|\\"


class Descent(Enum):
    """What a folder means for the walk."""

    NONE = "none"  # nothing in it is wanted: it is not listed
    THROUGH = "through"  # it only leads to something that is included
    WHOLE = "whole"  # it is wanted


def _parse(pattern: str) -> list[str | None]:
    """The pattern's pieces: characters, and None for ``*``. ValueError for an escape that means nothing."""
    pieces: list[str | None] = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if not escaped or escaped not in _ESCAPABLE:
                raise ValueError(f"pattern {pattern!r}: one of * | \\ expected behind the backslash")
            pieces.append(escaped)
        elif character == "*":
            if not pieces or pieces[-1] is not None:
                pieces.append(None)
        elif character == "|":
            raise ValueError(f"pattern {pattern!r}: a list holds one pattern each; write \\| for the character")
        else:
            pieces.append(character)
    while len(pieces) > 1 and pieces[-1] == "/":
        pieces.pop()
    if not pieces or pieces == ["/"]:
        raise ValueError(f"pattern {pattern!r}: something to match expected")
    if pieces[0] not in ("/", None):
        raise ValueError(f"pattern {pattern!r}: a / or * expected at its start")
    return pieces


def _expression(pieces: list[str | None]) -> str:
    return "".join(".*" if piece is None else re.escape(case_key(piece)) for piece in pieces)


class Filters:
    """Decides what is looked at; ValueError from the constructor names the pattern that can't be used."""

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        includes = [_parse(pattern) for pattern in include]
        for pattern, pieces in zip(include, includes, strict=True):
            if None in pieces[:-1]:
                raise ValueError(f"include pattern {pattern!r}: * is allowed only as its last character")
        self._include = self._compile(includes)
        self._exclude = self._compile([_parse(pattern) for pattern in exclude])
        self._leads = ["".join(case_key(piece) for piece in pieces if piece is not None) for pieces in includes]

    @staticmethod
    def _compile(patterns: list[list[str | None]]) -> re.Pattern[str] | None:
        if not patterns:
            return None
        return re.compile(f"(?:{'|'.join(_expression(pieces) for pieces in patterns)})(?:/.*)?", re.DOTALL)

    @property
    def want_all(self) -> bool:
        """Whether there is no pattern at all."""
        return self._include is None and self._exclude is None

    def wants_file(self, path: str) -> bool:
        """Whether the file at ``path`` (an engine path) is part of the transfer."""
        if self.want_all:
            return True
        text = _text(path)
        return not self._excluded(text) and (self._include is None or self._include.fullmatch(text) is not None)

    def descent(self, path: str) -> Descent:
        """What the folder at ``path`` (an engine path) means for the walk."""
        if self.want_all:
            return Descent.WHOLE
        text = _text(path)
        if self._excluded(text):
            return Descent.NONE
        if self._include is None or self._include.fullmatch(text):
            return Descent.WHOLE
        return Descent.THROUGH if any(lead.startswith(text + "/") for lead in self._leads) else Descent.NONE

    def names(self, path: str) -> bool:
        """Whether an include spells out ``path`` (an engine path), or something in it."""
        text = _text(path)
        return any(lead == text or lead.startswith(text + "/") for lead in self._leads)

    def _excluded(self, text: str) -> bool:
        return self._exclude is not None and self._exclude.fullmatch(text) is not None


def _text(path: str) -> str:
    return "/" + case_key(path).replace(SEPARATOR, "/")
