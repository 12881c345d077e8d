"""Maps the SIDs of the source's security descriptors as they are read, so that whatever compares or sets one sees the
new SIDs only.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.sids import SidMap, domain_of, local_accounts_of
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.sid_mapping import TooLargeError, replace_sids

# Descriptors repeat: a tree has few distinct ones. Large ones are not kept; a hostile server may send any number.
_REMEMBERED: Final = 2_048
_LARGEST_REMEMBERED: Final = 4 * 1024
# A hostile list may have thousands of entries, each of a domain of its own.
_MOST_OTHERS: Final = 16
_OPERATION = "mapping the SIDs of its security descriptor"


class Translated(NamedTuple):
    """A descriptor with the new SIDs, the indexes of the rules that it took, and what no rule is about: domains that
    the map does not know, and kinds of accounts that are local to a server, as raw prefixes of SIDs; at most 16.
    """

    descriptor: bytes
    rules: tuple[int, ...]
    others: tuple[bytes, ...]


class SidTranslator:
    """Translates the descriptors of one share; ``found`` is called with the path and the result of each."""

    def __init__(self, sid_map: SidMap, found: Callable[[str, Translated], None]) -> None:
        self._map = sid_map
        self._found = found
        self._remembered: dict[bytes, Translated] = {}
        targets = (domain_of(rule.new) for rule in sid_map.rules)
        self._known = sid_map.kept | {domain for domain in targets if domain is not None}

    def __call__(self, path: str, raw: bytes) -> bytes:
        """Return the raw descriptor of what is at ``path`` with the new SIDs.

        Raises:
            FileError: AccessListTooLarge; FileFailed, there are rules and the descriptor is malformed.
        """
        translated = self._remembered.get(raw)
        if translated is None:
            translated = self._translate(raw)
            if len(raw) <= _LARGEST_REMEMBERED:
                if len(self._remembered) >= _REMEMBERED:
                    self._remembered.clear()
                self._remembered[raw] = translated
        self._found(path, translated)
        return translated.descriptor

    def _translate(self, raw: bytes) -> Translated:
        rules: dict[int, None] = {}
        others: dict[bytes, None] = {}

        def replace(sid: bytes) -> bytes:
            rule = self._map.rule_for(sid)
            if rule is not None:
                rules[rule] = None
                return self._map.replaced(sid, rule)
            other = self._other(sid)
            if other is not None and len(others) < _MOST_OTHERS:
                others[other] = None
            return sid

        try:
            descriptor = replace_sids(raw, replace)
        except TooLargeError as error:
            raise FileError(FileReason.ACCESS_LIST_TOO_LARGE, f"{_OPERATION}: {error}") from error
        except WireError as error:
            if self._map.rules:
                raise FileError(FileReason.FILE_FAILED, f"{_OPERATION}: {error}") from error
            return Translated(raw, (), ())  # the destination's server judges it
        return Translated(descriptor, tuple(rules), tuple(others))

    def _other(self, sid: bytes) -> bytes | None:
        prefix = domain_of(sid) or local_accounts_of(sid)
        return None if sid in self._known or prefix in self._known else prefix
