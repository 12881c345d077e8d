"""The accounts that a security descriptor names, and descriptors that are not well formed."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.fake_server import descriptor
from lab.fake_server.nodes import DOMAIN

from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.trustees import domain_of, trustees_of

GUID = bytes(range(16))


def sid(*parts: int, authority: int = 5) -> bytes:
    return bytes([1, len(parts)]) + authority.to_bytes(6, "big") + struct.pack(f"<{len(parts)}I", *parts)


def entry(kind: int, body: bytes) -> bytes:
    return struct.pack("<BBHI", kind, 0, 8 + len(body), 0x1F01FF) + body


OURS = f"S-1-5-21-{'-'.join(map(str, DOMAIN))}"  # of the fake server's own owners and groups
USER, ADMINS = sid(21, 1, 2, 3, 1105), sid(32, 544)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(entry(0x00, USER), {"S-1-5-21-1-2-3-1105"}, id="allowed"),
        pytest.param(entry(0x01, ADMINS), {"S-1-5-32-544"}, id="denied"),
        pytest.param(entry(0x09, USER + b"artx"), {"S-1-5-21-1-2-3-1105"}, id="a callback with a condition"),
        pytest.param(entry(0x05, struct.pack("<I", 0) + USER), {"S-1-5-21-1-2-3-1105"}, id="an object without GUIDs"),
        pytest.param(entry(0x05, struct.pack("<I", 1) + GUID + USER), {"S-1-5-21-1-2-3-1105"}, id="one GUID"),
        pytest.param(entry(0x06, struct.pack("<I", 3) + 2 * GUID + USER), {"S-1-5-21-1-2-3-1105"}, id="two GUIDs"),
        pytest.param(entry(0x11, sid(4096, authority=16)), set(), id="a mandatory label names no account"),
        pytest.param(entry(0x00, sid(authority=1)), {"S-1-1"}, id="without parts"),
    ],
)
def test_the_account_of_each_kind_of_entry_is_found(made: bytes, expected: set[str]) -> None:
    found = trustees_of(descriptor("somebody", entries=(made,)))
    assert {one for one in found if not one.startswith(OURS)} == expected


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(entry(0x00, b""), id="no SID"),
        pytest.param(entry(0x00, USER[:-1]), id="a SID that ends early"),
        pytest.param(entry(0x00, b"\2" + USER[1:]), id="another revision"),
        pytest.param(entry(0x00, b"\1\x10" + bytes(70)), id="sixteen parts"),
        pytest.param(entry(0x05, struct.pack("<I", 3) + USER), id="GUIDs that are not there"),
    ],
)
def test_an_entry_that_is_not_well_formed_is_refused(made: bytes) -> None:
    with pytest.raises(WireError):
        trustees_of(descriptor("somebody", entries=(made,)))


@given(st.binary(max_size=200))
def test_no_bytes_lead_to_any_other_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        trustees_of(data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("S-1-5-21-1-2-3-1105", "S-1-5-21-1-2-3"),
        ("S-1-5-21-1-2-3", None),
        ("S-1-5-32-544", None),
        ("S-1-1-0", None),
    ],
)
def test_the_domain_of_an_account(text: str, expected: str | None) -> None:
    assert domain_of(text) == expected
