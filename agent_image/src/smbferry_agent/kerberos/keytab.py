"""MIT keytab files, version 0x0502, read defensively.

libkrb5 reads the file, too, but reports a damaged one only as "no key table entry found". This parser names the
problem, lists the principals, and allows to try one key version at a time.

Layout: https://web.mit.edu/kerberos/krb5-latest/doc/formats/keytab_file_format.html
"""

import hashlib
import json
import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from smbferry_agent.kerberos.enctypes import name_of
from smbferry_api.identity import KeytabEntry

VERSION: Final = b"\x05\x02"
_BASE64_OF_VERSION: Final = b"BQI"
_MAX_COMPONENTS: Final = 16
_KVNO32: Final = 4
_FINGERPRINT: Final = 12
_SPECIAL: Final = {"\\": "\\\\", "/": "\\/", "@": "\\@", "\n": "\\n", "\t": "\\t", "\b": "\\b", "\x00": "\\0"}


class KeytabError(Exception):
    """The bytes are no complete keytab. The message never contains bytes of keys."""


@dataclass(frozen=True, slots=True)
class KeytabKey:
    """One key of the file.

    Attributes:
        record: contains the secret; never shown.
    """

    principal: str
    kvno: int
    enctype: int
    timestamp: datetime
    record: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keytab:
    """The keys of a file, in its order."""

    keys: tuple[KeytabKey, ...]

    @property
    def principals(self) -> tuple[str, ...]:
        """The principals of the keys, each once."""
        return tuple(dict.fromkeys(key.principal for key in self.keys))

    @property
    def fingerprint(self) -> str:
        """Identifies the keytab: 12 hex digits of a hash of its public fields, never of its keys.

        With a hash of the keys, whoever reads it could guess passwords offline.
        """
        told = [(k.principal, k.kvno, k.enctype, int(k.timestamp.timestamp())) for k in self.keys]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:_FINGERPRINT]

    def versions(self, principal: str, enctypes: Collection[int]) -> tuple[int, ...]:
        """Key versions of the principal with one of the enctypes, newest first."""
        found = {k.kvno for k in self.keys if k.principal == principal and k.enctype in enctypes}
        return tuple(sorted(found, reverse=True))

    def enctypes(self, principal: str, kvno: int | None = None) -> tuple[int, ...]:
        """Encryption types of the principal's keys, of one version or of all."""
        mine = (k for k in self.keys if k.principal == principal and kvno in {None, k.kvno})
        return tuple(dict.fromkeys(k.enctype for k in mine))

    def made(self, principal: str, kvno: int) -> datetime | None:
        """When that version was written to the file, None if the writer left the time out, as ktpass does."""
        moment = max(k.timestamp for k in self.keys if k.principal == principal and k.kvno == kvno)
        return moment if moment.timestamp() > 0 else None

    def only(self, principal: str, kvno: int, enctypes: Collection[int]) -> bytes:
        """A keytab file with only these keys. Secret."""
        chosen = (k.record for k in self.keys if k.principal == principal and k.kvno == kvno and k.enctype in enctypes)
        return VERSION + b"".join(struct.pack(">i", len(record)) + record for record in chosen)

    def entries(self) -> tuple[KeytabEntry, ...]:
        """The public fields of the file: an entry per principal and version, at most 64."""
        lines: dict[tuple[str, int], list[KeytabKey]] = {}
        for key in self.keys:
            lines.setdefault((key.principal, key.kvno), []).append(key)
        return tuple(_entry(keys) for keys in list(lines.values())[:64])


def parse(data: bytes) -> Keytab:
    """Parses a keytab.

    Raises:
        KeytabError: not version 0x0502, truncated, damaged, or without keys.
    """
    if data[:2] != VERSION:
        found = "nothing" if not data else f"{data[:2].hex(' ')}"
        hint = "; it looks like base64: the file was encoded twice" if data.startswith(_BASE64_OF_VERSION) else ""
        raise KeytabError(f"Expected a keytab, which begins with the bytes 05 02, got {found}{hint}.")
    keys = tuple(_key(record, at) for at, record in _records(data))
    if not keys:
        raise KeytabError("The keytab contains no keys.")
    return Keytab(keys)


def _records(data: bytes) -> Iterable[tuple[int, bytes]]:
    """Yields each record with its offset. A negative length is the hole of a removed key; 0 ends the file."""
    at = len(VERSION)
    while at < len(data):
        if at + 4 > len(data):
            raise KeytabError(f"The keytab is cut short: a record's length at byte {at} is incomplete.")
        (length,) = struct.unpack_from(">i", data, at)
        at += 4
        if length == 0:
            return
        end = at + abs(length)
        if end > len(data):
            raise KeytabError(f"The keytab is cut short: expected a record up to byte {end}, got {len(data)} bytes.")
        if length > 0:
            yield at, data[at:end]
        at = end


def _key(record: bytes, offset: int) -> KeytabKey:
    try:
        return _parse_record(record)
    except (struct.error, IndexError, ValueError) as error:
        raise KeytabError(f"The keytab's record at byte {offset} is damaged: {error}.") from None


def _parse_record(record: bytes) -> KeytabKey:
    (count,) = struct.unpack_from(">H", record)
    if not 1 <= count <= _MAX_COMPONENTS:
        raise ValueError(f"expected 1 to {_MAX_COMPONENTS} components of a principal, got {count}")
    realm, at = _counted(record, 2)
    components = []
    for _ in range(count):
        component, at = _counted(record, at)
        components.append(component)
    _name_type, timestamp, kvno8, enctype = struct.unpack_from(">IIBH", record, at)
    key, at = _counted(record, at + 11)
    if not key:
        raise ValueError("expected a key, got 0 bytes")
    # A 32-bit version may follow; 0 is padding.
    kvno32 = struct.unpack_from(">I", record, at)[0] if len(record) - at >= _KVNO32 else 0
    return KeytabKey(
        principal="/".join(map(_text, components)) + "@" + _text(realm),
        kvno=kvno32 or kvno8,
        enctype=enctype,
        timestamp=datetime.fromtimestamp(timestamp, UTC),
        record=record,
    )


def _counted(record: bytes, at: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from(">H", record, at)
    end = at + 2 + length
    if end > len(record):
        raise ValueError(f"a field of {length} bytes extends beyond the record")
    return record[at + 2 : end], end


def _text(component: bytes) -> str:
    """The text as krb5_unparse_name writes it."""
    return "".join(_SPECIAL.get(c, c) for c in component.decode(errors="backslashreplace"))


def _entry(keys: list[KeytabKey]) -> KeytabEntry:
    return KeytabEntry(
        principal=keys[0].principal[:512],
        kvno=keys[0].kvno,
        enctypes=tuple(dict.fromkeys(name_of(k.enctype) for k in keys))[:16],
        timestamp=max(k.timestamp for k in keys),
    )
