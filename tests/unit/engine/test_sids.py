"""The map from old SIDs to new ones: what it takes, what it refuses, and what it does to a descriptor."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbferry_engine.sids import SidMap, domain_of, local_accounts_of, sid_bytes, sid_text
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.security import decode_security_descriptor
from smbferry_engine.wire.sid_mapping import TooLargeError, replace_sids

OLD, NEW = "S-1-5-21-1-2-3", "S-1-5-21-4000000000-5-6"
EVERYONE = "S-1-1-0"


def mapped(sid_map: SidMap, sid: str) -> str:
    raw = sid_bytes(sid)
    rule = sid_map.rule_for(raw)
    return sid if rule is None else sid_text(sid_map.replaced(raw, rule))


@pytest.mark.parametrize(
    "text",
    ["S-1-1-0", "S-1-5-18", "S-1-5-21-0-0-0-497", "S-1-5-21-4294967295-1-2-3", "S-1-281474976710655-1",
     "S-1-5" + "-1" * 15],
)  # fmt: skip
def test_a_sid_has_one_text_and_one_form_in_bytes(text: str) -> None:
    assert sid_text(sid_bytes(text)) == text


def test_a_sid_is_laid_out_as_the_specification_says() -> None:
    assert sid_bytes("S-1-5-32-544") == bytes.fromhex("01 02 000000000005 20000000 20020000")
    assert sid_bytes("s-1-0x5-032-544") == sid_bytes("S-1-5-32-544")


@pytest.mark.parametrize(
    "text",
    ["", "S", "S-1", "S-1-5", "S-2-5-1", "S-1-5-", "S-1-5-4294967296", "S-1-281474976710656-1", "S-1-5-x", "1-5-18",
     "S-1-5-18 ", "S-1-5-\u0661", "S-1-5" + "-1" * 16, "S--1", "S-1-5-18\n", "Administrators"],
)  # fmt: skip
def test_what_is_no_sid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a SID"):
        sid_bytes(text)


@given(st.text(max_size=40))
def test_any_text_is_a_sid_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert sid_bytes(sid_text(sid_bytes(text))) == sid_bytes(text)


@pytest.mark.parametrize(
    ("sid", "domain"),
    [(OLD, OLD), (f"{OLD}-500", OLD), (f"{OLD}-5-6", None), ("S-1-5-21-1-2", None), ("S-1-5-32-544", None),
     ("S-1-6-21-1-2-3", None)],
)  # fmt: skip
def test_accounts_and_domains_have_a_domain_and_nothing_else_does(sid: str, domain: str | None) -> None:
    found = domain_of(sid_bytes(sid))
    assert (found and sid_text(found)) == domain


@pytest.mark.parametrize(
    ("sid", "kind"),
    [("S-1-22-1-1000", "S-1-22-1"), ("S-1-22-2-100", "S-1-22-2"), ("S-1-5-88-1-7", "S-1-5-88-1"), (f"{OLD}-5", None),
     ("S-1-5-18", None)],
)  # fmt: skip
def test_accounts_of_unix_are_local_to_their_server(sid: str, kind: str | None) -> None:
    found = local_accounts_of(sid_bytes(sid))
    assert (found and sid_text(found)) == kind


def test_a_map_replaces_sids_and_domains_and_keeps_what_it_is_told_to() -> None:
    text = f"""\ufeff# from the old domain\r
    {OLD} {NEW}
    {OLD}-500\t{NEW}-1104   # by itself, before its domain

    {OLD}-513
    S-1-5-32-545 {NEW}-513"""
    found = SidMap.parse(text)
    assert [mapped(found, sid) for sid in (OLD, f"{OLD}-1", f"{OLD}-500", f"{OLD}-513", "S-1-5-32-545", EVERYONE)] == [
        NEW, f"{NEW}-1", f"{NEW}-1104", f"{OLD}-513", f"{NEW}-513", EVERYONE,
    ]  # fmt: skip


REFUSED = {
    "a word": ("Administrators S-1-1-0", "line 1: expected a SID such as S-1-5-21-1-2-3-500, got 14 other characters"),
    "a malformed SID": ("# x\nS-1-5-21-a S-1-1-0", "line 2: expected a SID .*, got 'S-1-5-21-a'"),
    "three words": (f"{OLD} {NEW} {OLD}", "line 1: expected OLD NEW, or one SID to keep, got 3 words"),
    "two rules": (
        f"{OLD}-1 {NEW}-1\n{OLD}-01 {NEW}-2",
        f"line 2: expected one line for each SID, .* {OLD}-1 after line 1",
    ),
    "the same rule twice": (f"{OLD} {NEW}\n{OLD} {NEW}", "line 2: expected one line for each SID"),
    "a rule and kept": (f"{OLD} {NEW}\n{OLD}", "line 2: expected one line for each SID"),
    "half a domain": (f"S-1-5-21-1-2 {NEW}", "line 1: expected a domain S-1-5-21-a-b-c, or an account"),
    "more than an account": (f"{OLD}-1-2 {NEW}-1", "line 1: expected a domain S-1-5-21-a-b-c, or an account"),
    "a domain to an account": (f"{OLD} {NEW}-5", "line 1: expected two domains .* or none"),
    "an account to a domain": (f"{OLD}-5 {NEW}", "line 1: expected two domains .* or none"),
    "to itself": (f"{OLD} {OLD}", "line 1: expected two SIDs, got .* twice"),
    "a chain": (f"{OLD}-1 {OLD}-2\n{OLD}-2 {NEW}-2", f"line 1: .* which line 2 replaces: map {OLD}-1 to the final SID"),
    "a chain of domains": (f"{NEW} S-1-5-21-7-8-9\n{OLD} {NEW}", "line 2: .* which line 1 replaces"),
    "a loop": (f"{OLD} {NEW}\n{NEW} {OLD}", "line 1: .* which line 2 replaces"),
    "into a domain that is mapped": (f"{EVERYONE} {OLD}-5\n{OLD} {NEW}", "line 1: .* which line 2 replaces"),
    "into the domain of itself": (f"{OLD} {NEW}\n{OLD}-500 {OLD}-501", "line 2: .* which line 1 replaces"),
    "a domain in which an account is mapped": (
        f"{OLD} {NEW}\n{NEW}-500 {EVERYONE}",
        "line 1: .* which line 2 replaces",
    ),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_a_map_that_is_invalid_or_not_stable_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SidMap.parse(text)


def test_a_message_never_shows_what_does_not_look_like_a_sid() -> None:
    with pytest.raises(ValueError, match="got 20 other characters") as raised:
        SidMap.parse("password=hunter2&x=yz S-1-1-0".replace("yz", "y"))
    assert "hunter2" not in str(raised.value)


numbers = st.integers(min_value=0, max_value=2**32 - 1)
few = st.integers(min_value=1, max_value=3)
domains = st.builds(lambda a, b: f"S-1-5-21-{a}-{b}-7", few, few)
accounts = st.builds(lambda domain, rid: f"{domain}-{rid}", domains, few)
others = st.sampled_from([EVERYONE, "S-1-5-18", "S-1-5-32-544", "S-1-5-32-545", "S-1-22-1-5"])
sids = st.one_of(domains, accounts, others)
lines = st.one_of(
    st.tuples(sids), st.tuples(domains, domains), st.tuples(st.one_of(accounts, others), st.one_of(accounts, others))
)


@given(st.lists(lines, max_size=6), st.lists(sids, max_size=20))
def test_applied_twice_a_map_changes_nothing(rules: list[tuple[str, ...]], found: list[str]) -> None:
    try:
        sid_map = SidMap.parse("\n".join(map(" ".join, rules)))
    except ValueError:
        return
    for sid in found:
        once = mapped(sid_map, sid)
        assert mapped(sid_map, once) == once


def ace(kind: int, sid: str, *, before: bytes = b"", after: bytes = b"", flags: int = 0x10) -> bytes:
    body = struct.pack("<I", 0x1200A9) + before + sid_bytes(sid) + after
    return struct.pack("<BBH", kind, flags, 4 + len(body)) + body


def acl(*entries: bytes, slack: bytes = b"") -> bytes:
    body = b"".join(entries)
    return struct.pack("<BBHHH", 4, 0, 8 + len(body) + len(slack), len(entries), 0) + body + slack


def descriptor(
    owner: str | None = None,
    group: str | None = None,
    dacl: bytes | None = None,
    sacl: bytes | None = None,
    *,
    control: int = 0x9404,
) -> bytes:
    parts, places, body = (owner and sid_bytes(owner), group and sid_bytes(group), sacl, dacl), [], b""
    for part in parts:
        places.append(20 + len(body) if part else 0)
        body += part or b""
    return struct.pack("<BBHIIII", 1, 0, control | (0x10 if sacl else 0), *places) + body


def applied(text: str, data: bytes) -> bytes:
    sid_map = SidMap.parse(text)

    def replace(sid: bytes) -> bytes:
        rule = sid_map.rule_for(sid)
        return sid if rule is None else sid_map.replaced(sid, rule)

    return replace_sids(data, replace)


GUID = bytes(range(16))
CONDITION = b"artx" + bytes.fromhex("f80a000000 4100") + b"\0"
# Kind: what comes before the SID, and after it. MS-DTYP 2.4.4.
KINDS: dict[int, tuple[bytes, bytes]] = {
    **dict.fromkeys((0, 1, 2, 3), (b"", b"")),
    **dict.fromkeys((9, 10, 13, 14, 18), (b"", CONDITION)),
    **{kind: (struct.pack("<I", 3) + 2 * GUID, b"") for kind in (0x05, 0x06, 0x07, 0x08)},
    **{kind: (struct.pack("<I", 2) + GUID, CONDITION) for kind in (0x0B, 0x0C, 0x0F, 0x10)},
    0x105: (struct.pack("<I", 0), b""),
}


@pytest.mark.parametrize("kind", KINDS, ids=hex)
@pytest.mark.parametrize("new", [f"{NEW}-1", EVERYONE], ids=["same length", "shorter"])
def test_of_an_entry_only_the_sid_changes(kind: int, new: str) -> None:
    before, after = KINDS[kind]

    def tree(sid: str) -> bytes:
        return descriptor(sid, sid, acl(ace(kind & 0xFF, sid, before=before, after=after), ace(0, EVERYONE)))

    assert applied(f"{OLD}-1 {new}", tree(f"{OLD}-1")) == tree(new)


def test_owner_group_and_both_lists_are_mapped() -> None:
    old = descriptor(f"{OLD}-1", f"{OLD}-513", acl(ace(0, f"{OLD}-2"), ace(1, EVERYONE)), acl(ace(2, f"{OLD}-3")))
    found = applied(f"{OLD} {NEW}\n{OLD}-3 S-1-5-18", old)
    new = descriptor(f"{NEW}-1", f"{NEW}-513", acl(ace(0, f"{NEW}-2"), ace(1, EVERYONE)), acl(ace(2, "S-1-5-18")))
    assert found == new
    assert applied(f"{OLD} {NEW}\n{OLD}-3 S-1-5-18", found) is found


def test_control_bits_stay_and_a_list_that_is_absent_stays_absent() -> None:
    for control in (0x8004, 0x9404, 0x8C14, 0x8000):
        found = applied(f"{OLD} {NEW}", descriptor(f"{OLD}-1", None, None, control=control))
        assert found == descriptor(f"{NEW}-1", None, None, control=control)


def test_an_entry_of_an_unknown_type_stays_as_it_is() -> None:
    strange = ace(0x7F, f"{OLD}-1")
    old = descriptor(f"{OLD}-1", None, acl(strange, ace(0, f"{OLD}-1")))
    assert applied(f"{OLD} {NEW}", old) == descriptor(f"{NEW}-1", None, acl(strange, ace(0, f"{NEW}-1")))


def test_a_list_that_becomes_too_large_is_refused() -> None:
    count = 0xFFFC // len(ace(0, EVERYONE))
    most = (0xFFFC - 8) // len(ace(0, f"{NEW}-1"))
    whole = descriptor(EVERYONE, EVERYONE, acl(*[ace(0, EVERYONE)] * most))
    assert len(decode_security_descriptor(applied(f"{EVERYONE} {NEW}-1", whole)).dacl.entries) == most  # type: ignore[union-attr]
    with pytest.raises(TooLargeError, match="at most 65532 bytes, got"):
        applied(f"{EVERYONE} {NEW}-1", descriptor(EVERYONE, None, acl(*[ace(0, EVERYONE)] * (count - 1))))
    with pytest.raises(TooLargeError, match="an entry of at most 65532 bytes"):
        applied(f"{EVERYONE} {NEW}-1", descriptor(None, None, acl(ace(9, EVERYONE, after=bytes(65_500)))))


MALFORMED = {
    "shorter than its fixed part": descriptor(EVERYONE)[:19],
    "an owner beyond its end": descriptor(EVERYONE)[:-1],
    "an owner in its fixed part": struct.pack("<BBHIIII", 1, 0, 0x8004, 4, 0, 0, 0) + sid_bytes(EVERYONE),
    "a SID of 16 numbers": struct.pack("<BBHIIII", 1, 0, 0x8004, 20, 0, 0, 0) + b"\1\x10" + bytes(70),
    "a list beyond its end": descriptor(None, None, acl(ace(0, EVERYONE)))[:-1],
    "more entries than there are": descriptor(None, None, struct.pack("<BBHHH", 2, 0, 8, 1, 0)),
    "an entry of no length": descriptor(None, None, acl(bytes(4))),
    "an entry beyond its list": descriptor(None, None, acl(struct.pack("<BBH", 0, 0, 99) + bytes(20))),
    "an entry too short for its SID": descriptor(
        None, None, acl(ace(0, EVERYONE)[:2] + b"\x0c\0" + ace(0, EVERYONE)[4:12])
    ),
    "an object entry without its types": descriptor(None, None, acl(ace(5, EVERYONE, before=b"\3\0\0\0"))),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_descriptor_is_an_error_of_the_wire(data: bytes) -> None:
    with pytest.raises(WireError):
        applied(f"{OLD} {NEW}", data)


entries = st.one_of(
    st.builds(
        lambda kind, sid, after: ace(kind, sid, after=after),
        st.sampled_from([0, 1, 2, 9, 17]),
        sids,
        st.sampled_from([b"", CONDITION]),
    ),
    st.builds(lambda sid: ace(5, sid, before=struct.pack("<I", 1) + GUID), sids),
    st.builds(lambda body: struct.pack("<BBH", 0x60, 0, 4 + len(body)) + body, st.binary(max_size=24)),
)
lists = st.one_of(
    st.none(),
    st.builds(lambda found, slack: acl(*found, slack=slack), st.lists(entries, max_size=5), st.binary(max_size=9)),
)
descriptors = st.builds(
    lambda owner, group, dacl, sacl, junk: descriptor(owner, group, dacl, sacl) + junk,
    st.one_of(st.none(), sids), st.one_of(st.none(), sids), lists, lists, st.binary(max_size=8),
)  # fmt: skip


@given(descriptors)
def test_an_empty_map_leaves_a_descriptor_byte_for_byte(data: bytes) -> None:
    assert applied("", data) is data
    assert applied(f"S-1-5-21-99-99-99 {NEW}", data) is data


@given(descriptors)
def test_what_was_mapped_decodes_has_as_many_entries_and_is_mapped_once(data: bytes) -> None:
    text = "S-1-5-21-1-1-7 S-1-5-21-9-9-9\nS-1-5-32-544 S-1-5-21-9-9-9-5\nS-1-22-1-5 S-1-1-0"
    found = applied(text, data)
    before, after = decode_security_descriptor(data), decode_security_descriptor(found)
    assert applied(text, found) is found
    for one, other in ((before.dacl, after.dacl), (before.sacl, after.sacl)):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert [(entry[0], entry[1], entry[4:8]) for entry in one.entries] == [
                (entry[0], entry[1], entry[4:8]) for entry in other.entries
            ]
            assert one[::2] == other[::2]


@given(st.binary(max_size=120))
def test_any_bytes_are_mapped_or_an_error_of_the_wire(data: bytes) -> None:
    with contextlib.suppress(WireError):
        replace_sids(data, lambda _sid: sid_bytes(f"{NEW}-1"))
