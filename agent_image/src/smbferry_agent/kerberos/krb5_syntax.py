"""The syntax of krb5.conf (krb5.conf(5)): sections, blocks and relations, as MIT's library reads them.

Only this text is read: lines that include other files are ignored, with a finding.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from smbferry_agent.errors import AgentError
from smbferry_api.reasons import KRB5_CONFIG_INVALID, KRB5_CONFIG_REFUSED

_RELATION: Final = re.compile(r"([^\s=]+?)\*?\s*=\s*(.*)")
_SECTION: Final = re.compile(r"\[([^\]\[]+)\]\*?")
_END: Final = re.compile(r"\}\*?")
_INCLUDING: Final = re.compile(r"(include|includedir)\s+(.*)")
_MODULE: Final = re.compile(r"module\s")
_BYTE_ORDER_MARK: Final = "\ufeff"


@dataclass(frozen=True, slots=True)
class Line:
    """One relation, with its section and subsections. An empty key opens the last of them."""

    number: int
    path: tuple[str, ...]
    key: str
    value: str

    def invalid(self, expected: str) -> AgentError:
        """The error for an invalid value."""
        return AgentError(
            KRB5_CONFIG_INVALID,
            f"krb5.conf line {self.number}: {show(self.key)}: expected {expected}, got {show(self.value)}.",
        )

    def refused(self, why: str) -> AgentError:
        """The error for a forbidden relation."""
        return AgentError(KRB5_CONFIG_REFUSED, f"krb5.conf line {self.number}: {show(self.key)} is refused: {why}.")


def read(text: str, tell: Callable[[str], None]) -> Iterator[Line]:
    """Yields the file's relations in order.

    Args:
        tell: receives each ignored line.

    Raises:
        AgentError: Krb5ConfigInvalid with an unreadable line, Krb5ConfigRefused with one that loads a module.
    """
    reader = _Reader(tell)
    if text.startswith(_BYTE_ORDER_MARK):
        tell("line 1: a byte order mark is ignored")
    lines = text.removeprefix(_BYTE_ORDER_MARK).replace("\r\n", "\n").split("\n")
    for number, raw in enumerate(lines, start=1):
        yield from reader.take(number, raw.strip())
    yield from reader.end()


def show(text: str) -> str:
    """Untrusted text for a message: short, on one line."""
    return repr(text[:80])


class _Reader:
    """Reads line by line. The `{` of a block may be on the line after its name, as in MIT's library."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._path: list[str] = []
        self._waiting: tuple[int, str] | None = None

    def take(self, number: int, line: str) -> Iterator[Line]:
        """The relations that this line completes: none, one, or also the one before it."""
        if not line or line[0] in "#;":
            return
        if self._waiting is not None:
            (at, name), self._waiting = self._waiting, None
            if line == "{":
                yield self._open(at, name)
                return
            yield Line(at, tuple(self._path), name, "")
        if _MODULE.match(line):
            raise AgentError(
                KRB5_CONFIG_REFUSED, f"krb5.conf line {number}: 'module' is refused: it loads another file."
            )
        if match := _INCLUDING.fullmatch(line):
            self._tell(f"line {number}: {match[1]} {show(match[2])} is ignored, other files are not read")
        else:
            yield from self._read(number, line)

    def _read(self, number: int, line: str) -> Iterator[Line]:
        if match := _SECTION.fullmatch(line):
            self._path = [match[1].strip()]
            yield Line(number, tuple(self._path), "", "")
        elif _END.fullmatch(line) and len(self._path) > 1:
            self._path.pop()
        elif self._path and (match := _RELATION.fullmatch(line)):
            key, value = match[1], match[2].strip()
            if value == "{":
                yield self._open(number, key)
            elif value:
                yield Line(number, tuple(self._path), key, _unquote(value))
            else:
                self._waiting = number, key
        else:
            raise AgentError(
                KRB5_CONFIG_INVALID,
                f"krb5.conf line {number}: expected [section], name = value, name = {{ or }}, got {show(line)}.",
            )

    def end(self) -> Iterator[Line]:
        """The last relation if it has no value.

        Raises:
            AgentError: a block is not closed.
        """
        if self._waiting is not None:
            yield Line(self._waiting[0], tuple(self._path), self._waiting[1], "")
        if len(self._path) > 1:
            raise AgentError(KRB5_CONFIG_INVALID, f"krb5.conf: the block {show(self._path[-1])} is not closed by }}.")

    def _open(self, number: int, name: str) -> Line:
        self._path.append(name)
        return Line(number, tuple(self._path), "", "")


def _unquote(value: str) -> str:
    quoted = value.startswith('"') and value.endswith('"') and len(value) > 1
    return value[1:-1] if quoted else value
