"""MIT keytab files, version 0x0502: parse, select, renumber, write.

Layout: https://web.mit.edu/kerberos/krb5-latest/doc/formats/keytab_file_format.html
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .errors import LabError

VERSION = b"\x05\x02"
# RFC 3962 and RFC 8009 numbers of the encryption types that smbferry permits.
AES128_SHA1, AES256_SHA1, AES128_SHA256, AES256_SHA384 = 17, 18, 19, 20
RC4 = 23
AES = frozenset({AES128_SHA1, AES256_SHA1, AES128_SHA256, AES256_SHA384})


@dataclass(frozen=True)
class Entry:
    """One key. `components` is the principal's name without the realm; `timestamp` in seconds since 1970."""

    realm: str
    components: tuple[str, ...]
    name_type: int
    timestamp: int
    kvno: int
    enctype: int
    key: bytes

    @property
    def principal(self) -> str:
        """The principal as people write it."""
        return "/".join(self.components) + "@" + self.realm


def parse(data: bytes) -> list[Entry]:
    """The entries of a keytab, holes left out.

    Raises:
        LabError: it is no keytab of version 0x0502, or cut short.
    """
    if data[:2] != VERSION:
        raise LabError(f"expected a keytab that starts with 05 02, got {data[:2].hex(' ') or 'nothing'}")
    entries, at = [], 2
    try:
        while at + 4 <= len(data):
            (length,) = struct.unpack_from(">i", data, at)
            at += 4
            if length == 0:
                break
            if length > 0:
                if at + length > len(data):
                    raise LabError(
                        f"the keytab is truncated at byte {len(data)}; expected an entry up to byte {at + length}"
                    )
                entries.append(_entry(data[at : at + length]))
            at += abs(length)
    except (struct.error, UnicodeDecodeError) as error:
        raise LabError(f"the keytab has a damaged entry before byte {at}: {error}") from error
    return entries


def write(entries: list[Entry]) -> bytes:
    """A keytab of these entries."""
    records = []
    for entry in entries:
        body = struct.pack(">H", len(entry.components)) + _counted(entry.realm.encode())
        body += b"".join(_counted(component.encode()) for component in entry.components)
        body += struct.pack(">IIBH", entry.name_type, entry.timestamp, entry.kvno & 0xFF, entry.enctype)
        body += _counted(entry.key) + struct.pack(">I", entry.kvno)
        records.append(struct.pack(">i", len(body)) + body)
    return VERSION + b"".join(records)


def _entry(body: bytes) -> Entry:
    (count,) = struct.unpack_from(">H", body)
    realm, at = _take(body, 2)
    components = []
    for _ in range(count):
        component, at = _take(body, at)
        components.append(component.decode())
    name_type, timestamp, short_kvno, enctype = struct.unpack_from(">IIBH", body, at)
    key, at = _take(body, at + 11)
    kvno = struct.unpack_from(">I", body, at)[0] if at + 4 <= len(body) else 0
    return Entry(realm.decode(), tuple(components), name_type, timestamp, kvno or short_kvno, enctype, key)


def _take(body: bytes, at: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from(">H", body, at)
    end = at + 2 + length
    if end > len(body):
        raise struct.error(f"a field of {length} bytes reaches past the entry's end")
    return body[at + 2 : end], end


def _counted(value: bytes) -> bytes:
    return struct.pack(">H", len(value)) + value
