"""Security descriptors taken apart, and what counts as a difference of metadata."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.fake_server import descriptor

from smbferry_engine.plan.compare import Compared, listed_differences, security_differences
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.info import encode_set_security
from smbferry_engine.wire.security import (
    AccessControlList,
    SecurityDescriptor,
    at_creation,
    decode_security_descriptor,
    is_whole_at_creation,
    only_for,
    owner_and_group,
)

DACL, SACL = 4, 8
ADMINISTRATORS = bytes.fromhex("0102 0000 0000 0005 2000 0000 2002 0000")
EVERYONE = bytes.fromhex("0101 0000 0000 0001 0000 0000")
READ = bytes.fromhex("0000 1400 a900 1200") + EVERYONE
FULL = bytes.fromhex("0000 1400 ff01 1f00") + EVERYONE
AUDIT = bytes.fromhex("0240 1400 ff01 1f00") + EVERYONE


def acl(*entries: bytes, count: int | None = None, padding: int = 0) -> bytes:
    body = b"".join(entries)
    number = len(entries) if count is None else count
    return struct.pack("<BBHHH", 2, 0, 8 + len(body) + padding, number, 0) + body + bytes(padding)


def laid_out(
    control: int = 0x8004, *, dacl: bytes | None = None, sacl: bytes | None = None, owner_last: bool = False
) -> bytes:
    """A descriptor of the Administrators, its parts in one order or the other."""
    parts = {"owner": ADMINISTRATORS, "group": EVERYONE, "sacl": sacl or b"", "dacl": dacl or b""}
    order = ["sacl", "dacl", "group", "owner"] if owner_last else ["owner", "group", "sacl", "dacl"]
    offsets, body = {}, b""
    for name in order:
        offsets[name] = 20 + len(body) if parts[name] else 0
        body += parts[name]
    where = [offsets[name] for name in ("owner", "group", "sacl", "dacl")]
    return struct.pack("<BBHIIII", 1, 0, control, *where) + body


def test_a_descriptor_is_taken_apart() -> None:
    found = decode_security_descriptor(laid_out(0x9014, dacl=acl(FULL, READ), sacl=acl(AUDIT)))
    assert found == SecurityDescriptor(
        "S-1-5-32-544", "S-1-1-0", AccessControlList(True, (FULL, READ)), AccessControlList(False, (AUDIT,))
    )


def test_what_is_not_there_is_none() -> None:
    bare = struct.pack("<BBHIIII", 1, 0, 0x8000, 0, 0, 0, 0)
    assert decode_security_descriptor(bare) == SecurityDescriptor(None, None, None, None)
    assert decode_security_descriptor(laid_out(0x8004)).dacl is None


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        laid_out(dacl=acl(FULL))[:19],
        b"\x02" + laid_out()[1:],
        laid_out(dacl=acl(FULL, count=2)),
        laid_out(dacl=acl(b"\0\0\x03\0" + EVERYONE)),
        laid_out(dacl=acl(FULL))[:-1],
        struct.pack("<BBHIIII", 1, 0, 0x8000, 4, 0, 0, 0) + bytes(8),
        struct.pack("<BBHIIII", 1, 0, 0x8000, 20, 0, 0, 0) + b"\x01\x10" + bytes(80),
        struct.pack("<BBHIIII", 1, 0, 0x8000, 20, 0, 0, 0) + b"\x02\x00" + bytes(6),
        struct.pack("<BBHIIII", 1, 0, 0x8000, 0xFFFFFFF0, 0, 0, 0),
    ],
)
def test_a_descriptor_that_reaches_outside_its_bytes_is_refused(broken: bytes) -> None:
    with pytest.raises(WireError):
        decode_security_descriptor(broken)


@given(st.binary(max_size=120), st.integers(0, 0xFFFF))
def test_no_bytes_make_it_fail_in_any_other_way(noise: bytes, control: int) -> None:
    for data in (noise, b"\x01\0" + control.to_bytes(2, "little") + noise):
        try:
            decode_security_descriptor(data)
        except WireError:
            continue


SAME = [
    (laid_out(dacl=acl(FULL)), laid_out(dacl=acl(FULL), owner_last=True)),
    (laid_out(dacl=acl(FULL)), laid_out(dacl=acl(FULL, padding=12))),
    (laid_out(0x8004, dacl=acl(FULL)), laid_out(0x8014, dacl=acl(FULL), sacl=acl())),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_descriptors_that_mean_the_same_are_the_same(one: bytes, other: bytes) -> None:
    assert security_differences(one, other, DACL | SACL) == []


DIFFERENT = [
    (descriptor("a"), descriptor("b"), DACL, ["owner S-1-5-21-", "group S-1-5-21-"]),
    (
        laid_out(0x8404, dacl=acl(FULL)),
        laid_out(dacl=acl(FULL)),
        DACL,
        ["access list: 1 entries, auto"],
    ),
    (laid_out(dacl=acl(FULL)), laid_out(dacl=acl(READ)), DACL, ["the access list has other entries"]),
    (laid_out(dacl=acl(FULL, READ)), laid_out(dacl=acl(READ, FULL)), DACL, ["the access list has other entries"]),
    (laid_out(dacl=acl(FULL)), laid_out(dacl=acl()), DACL, ["access list: 1 entries at the source, 0 entries"]),
    (laid_out(dacl=acl(FULL)), laid_out(), DACL, ["access list: 1 entries at the source, none"]),
    (
        laid_out(0x9004, dacl=acl(FULL)),
        laid_out(dacl=acl(FULL)),
        DACL,
        ["access list: 1 entries, protected from inheritance at the source"],
    ),
    (laid_out(0x8014, sacl=acl(AUDIT)), laid_out(0x8014), DACL | SACL, ["audit list: 1 entries at the source, none"]),
]


@pytest.mark.parametrize(("one", "other", "parts", "words"), DIFFERENT)
def test_what_differs_is_said(one: bytes, other: bytes, parts: int, words: list[str]) -> None:
    found = security_differences(one, other, parts)
    assert len(found) == len(words)
    assert all(text.startswith(start) for text, start in zip(found, words, strict=True)), found


def test_a_part_that_is_not_copied_is_not_compared() -> None:
    assert security_differences(laid_out(0x8014, sacl=acl(AUDIT)), laid_out(0x8014), DACL) == []


CONTROLS = [
    # What a source has (MS-DTYP 2.4.6), and what is sent so that the server keeps it (2.5.3.4.2).
    (0x8004, 0x8004),
    (0x8404, 0x8504),
    (0x9004, 0x9004),
    (0x9404, 0x9504),
    (0x8814, 0x8A14),
    (0x8C14, 0x8F14),
]


@pytest.mark.fault(68)
@pytest.mark.parametrize(("had", "sent"), CONTROLS)
def test_a_server_is_asked_to_keep_that_a_list_came_about_by_inheritance(had: int, sent: int) -> None:
    whole = laid_out(had, dacl=acl(FULL))
    asked = encode_set_security(bytes(16), DACL, whole)[32:]
    assert asked == whole[:2] + sent.to_bytes(2, "little") + whole[4:]


SIDS = st.builds(
    lambda parts: struct.pack("<BB6s", 1, len(parts), b"\0\0\0\0\0\x05") + struct.pack(f"<{len(parts)}I", *parts),
    st.lists(st.integers(0, 2**32 - 1), max_size=15),
)


@given(
    owner=SIDS, group=SIDS, entries=st.lists(st.sampled_from([FULL, READ]), max_size=3), control=st.integers(0, 0x3FFF)
)
def test_what_an_object_is_made_with_is_its_list_protected_and_its_owner_where_wanted(
    owner: bytes, group: bytes, entries: list[bytes], control: int
) -> None:
    lists = acl(*entries)
    at = 20 + len(owner) + len(group)
    fixed = struct.pack("<BBHIIII", 1, 0, 0x8014 | control, 20, 20 + len(owner), at, at)
    whole = fixed + owner + group + lists
    assert owner_and_group(whole) == (owner, group)
    there, bare = (decode_security_descriptor(at_creation(whole, owner=wanted)) for wanted in (True, False))
    assert there.owner == decode_security_descriptor(whole).owner
    assert (bare.owner, bare.group) == (None, None)
    for made in (there, bare):
        assert made.sacl is None
        assert made.dacl is not None
        assert (made.dacl.protected, made.dacl.entries) == (True, tuple(entries))


@pytest.mark.parametrize(
    ("control", "whole"), [(0x8004, False), (0x9004, True), (0x9404, False), (0x8404, False), (0x9000, False)]
)
def test_only_a_protected_list_that_was_not_inherited_is_all_there_at_creation(control: int, *, whole: bool) -> None:
    assert is_whole_at_creation(laid_out(control, dacl=acl(FULL))) is whole


@given(SIDS)
def test_a_private_descriptor_lets_one_account_do_anything_and_hands_nothing_down(sid: bytes) -> None:
    full = struct.pack("<BBHI", 0, 0, 8 + len(sid), 0x1F01FF) + sid
    found = decode_security_descriptor(only_for(sid))
    assert found == SecurityDescriptor(None, None, AccessControlList(True, (full,)), None)


@given(st.binary(max_size=60))
def test_no_bytes_make_what_is_sent_of_them_fail_in_any_other_way(noise: bytes) -> None:
    for take in (owner_and_group, lambda data: at_creation(data, owner=True), is_whole_at_creation):
        try:
            take(noise)
        except WireError:
            continue


WRITTEN = 309_999_990


def entry(
    *, attributes: int = 0x20, created: int = 10, accessed: int = 20, written: int = WRITTEN, changed: int = 40
) -> DirectoryEntry:
    return DirectoryEntry("f", 1, attributes, created, accessed, written, changed, 0, 1)


ALL = Compared(times=True, attributes=True)
LISTED = [
    (entry(), entry(), ALL, None),
    (entry(), entry(accessed=21, changed=41), ALL, None),
    (entry(), entry(written=WRITTEN + 1), ALL, "written"),
    (entry(), entry(written=WRITTEN + 1), Compared(attributes=True), None),
    (entry(), entry(created=11), ALL, "created"),
    (entry(), entry(created=WRITTEN), ALL, None),  # a server that keeps no creation time gives another for it
    (entry(created=20), entry(created=11), ALL, None),
    # Samba 4.17 makes up a time in the second of the last write
    (entry(created=WRITTEN - 7), entry(created=WRITTEN - 9), ALL, None),
    (entry(created=WRITTEN - 7), entry(created=11), ALL, "created"),
    (entry(), entry(attributes=0x21), ALL, "attributes archive at the source, read-only, archive at the destination"),
    (entry(attributes=0x80), entry(attributes=0x22), ALL, "attributes none at the source, hidden, archive"),
    (entry(), entry(attributes=0x21), Compared(times=True), None),
    (entry(), entry(attributes=0x2120), ALL, None),  # what not every server can hold
    (entry(attributes=0x10), entry(attributes=0x30), ALL, None),  # a folder that was written into
    (entry(attributes=0x10), entry(attributes=0x12), ALL, "attributes none at the source, hidden"),
]


@pytest.mark.parametrize(("one", "other", "compared", "words"), LISTED)
def test_what_listings_tell_is_compared_as_far_as_it_is_copied(
    one: DirectoryEntry, other: DirectoryEntry, compared: Compared, words: str | None
) -> None:
    found = listed_differences(one, other, compared)
    assert [text.startswith(words or "") for text in found] == ([True] if words else []), found


def test_times_that_read_alike_are_told_by_their_numbers() -> None:
    (text,) = listed_differences(entry(), entry(written=WRITTEN + 1), ALL)
    assert f"({WRITTEN})" in text
    assert f"({WRITTEN + 1})" in text
