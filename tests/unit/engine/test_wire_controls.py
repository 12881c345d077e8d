"""The codecs of TREE_CONNECT, IOCTL, server-side copy and DFS referrals, byte for byte and against hostile bytes."""

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.fake_server.replies import FID, HEAD, hexed

from smbferry_engine.wire import dfs, ioctl, session, tree
from smbferry_engine.wire.errors import WireError

KEY = bytes(range(24))
COPY = ioctl.FSCTL_SRV_COPYCHUNK_WRITE
RESUME = ioctl.FSCTL_SRV_REQUEST_RESUME_KEY


def reply(control: int, output: bytes, *, offset: int = 112, length: int | None = None) -> bytes:
    size = len(output) if length is None else length
    return HEAD + struct.pack("<HHI16s6I", 49, 0, control, FID, 112, 0, offset, size, 0, 0) + output


def test_a_tree_connect_names_server_and_share() -> None:
    assert tree.encode_tree_connect("s", "d") == hexed("0900 0000 4800 0a00", "5c005c007300 5c00 6400")


def tree_reply(flags: int = 0, capabilities: int = 0) -> bytes:
    header = bytearray(64)
    struct.pack_into("<4sHHIHHI", header, 0, b"\xfeSMB", 64, 0, 0, 3, 1, 1)
    struct.pack_into("<I", header, 36, 9)
    return bytes(header) + struct.pack("<HBBIII", 16, 1, 0, flags, capabilities, 0x1F01FF)


@pytest.mark.parametrize(
    ("flags", "capabilities", "in_dfs"),
    [(0, 0, False), (0x30, 0x10, False), (1, 0, True), (2, 0, True), (0, 8, True), (0x8003, 8, True)],
)
def test_a_tree_reply_gives_the_id_and_says_whether_it_is_dfs(flags: int, capabilities: int, in_dfs: bool) -> None:
    assert tree.decode_tree_connect(tree_reply(flags, capabilities)) == tree.TreeReply(9, in_dfs, 0x1F01FF)


def test_a_file_is_made_sparse_without_a_word_more() -> None:
    """FSCTL_SET_SPARSE, MS-FSCC 2.3.69: no buffer means that it is set."""
    assert ioctl.encode_set_sparse(FID) == hexed("3900 0000 c4000900") + FID + hexed(
        "00000000 00000000 00000000 00000000 00000000 00000000 01000000 00000000 00"
    )


def test_a_resume_key_is_asked_for_and_taken() -> None:
    assert ioctl.encode_request_resume_key(FID) == hexed("3900 0000 78001400") + FID + hexed(
        "00000000 00000000 00000000 00000000 00000000 20000000 01000000 00000000 00"
    )
    assert ioctl.decode_resume_key(reply(RESUME, KEY + bytes(8))) == KEY


def test_chunks_are_asked_for_as_the_specification_lays_them_out() -> None:
    chunks = [ioctl.Chunk(0, 0, 0x100000), ioctl.Chunk(0x100000, 0x100000, 5)]
    assert ioctl.encode_copy_chunks(FID, KEY, chunks) == hexed("3900 0000 f2801400") + FID + hexed(
        "78000000 50000000 00000000 00000000 00000000 0c000000 01000000 00000000"
    ) + KEY + hexed(
        "02000000 00000000",
        "0000000000000000 0000000000000000 00001000 00000000",
        "0000100000000000 0000100000000000 05000000 00000000",
    )


def test_what_was_copied_is_told() -> None:
    assert ioctl.decode_copied(reply(COPY, hexed("02000000 00000000 05001000"))) == ioctl.CopyReply(2, 0, 0x100005)


def entry(version: int, target: str, *, root: bool = False, flags: int = 0, at: int = 34, ttl: int = 300) -> bytes:
    """One entry and the strings behind it."""
    kind, name = int(root), target.encode("utf-16-le") + b"\0\0"
    if version == 1:
        return struct.pack("<HHHH", 1, 8 + len(name), kind, flags) + name
    if version == 2:
        return struct.pack("<HHHHIIHHH", 2, 22, kind, flags, 0, ttl, 22, 22, 22) + name
    return struct.pack("<HHHHIHHH16s", version, 34, kind, flags, ttl, at, at, at, bytes(16)) + name


def referrals(*entries: bytes, consumed: int = 20, count: int | None = None) -> bytes:
    return struct.pack("<HHI", consumed, len(entries) if count is None else count, 2) + b"".join(entries)


def test_a_referral_is_asked_for_by_the_whole_path() -> None:
    assert dfs.encode_get_referrals(r"\s\d") == hexed("0400 5c007300 5c006400 0000")


@pytest.mark.parametrize(("version", "ttl"), [(1, 0), (2, 300), (3, 300), (4, 300)])
def test_entries_of_each_version_give_their_target(version: int, ttl: int) -> None:
    found = dfs.decode_referrals(referrals(entry(version, r"\fs1\data", root=True)))
    assert found == dfs.Referrals(10, (dfs.Referral(r"\fs1\data", root=True, ttl=ttl),))


def test_targets_keep_their_order_and_their_strings_may_lie_behind_all_entries() -> None:
    strings = r"\a\x".encode("utf-16-le") + b"\0\0" + r"\b\y".encode("utf-16-le") + b"\0\0"
    fixed = [struct.pack("<HHHHIHHH16s", 4, 34, 0, 4, 60, at, at, at, bytes(16)) for at in (68, 44)]
    found = dfs.decode_referrals(referrals(*fixed, count=2) + strings)
    assert [referral.target for referral in found.targets] == [r"\a\x", r"\b\y"]


HOSTILE: list[tuple[str, Callable[[], Any]]] = [
    ("a reply to another control", lambda: ioctl.decode_ioctl(reply(RESUME, b""), COPY)),
    ("an error's body", lambda: ioctl.decode_copied(HEAD + b"\x09" + bytes(60))),
    ("output before the fixed part", lambda: ioctl.decode_resume_key(reply(RESUME, KEY, offset=64))),
    ("output past the end", lambda: ioctl.decode_resume_key(reply(RESUME, KEY, length=99))),
    ("a resume key of half its length", lambda: ioctl.decode_resume_key(reply(RESUME, KEY[:12]))),
    ("half a range", lambda: ioctl.decode_ranges(reply(ioctl.FSCTL_QUERY_ALLOCATED_RANGES, bytes(8)))),
    ("no counts of what was copied", lambda: ioctl.decode_copied(reply(COPY, b""))),
    ("a tree reply cut short", lambda: tree.decode_tree_connect(tree_reply()[:70])),
    ("a tree reply of another size", lambda: tree.decode_tree_connect(tree_reply()[:64] + b"\x09" + bytes(15))),
    ("half a unit consumed", lambda: dfs.decode_referrals(referrals(consumed=3))),
    ("more entries than there are", lambda: dfs.decode_referrals(referrals(count=2))),
    ("entries without end", lambda: dfs.decode_referrals(referrals(count=0xFFFF))),
    ("an entry of no size", lambda: dfs.decode_referrals(referrals(struct.pack("<HHHH", 3, 0, 0, 0) + bytes(40)))),
    ("an entry of a version to come", lambda: dfs.decode_referrals(referrals(entry(5, r"\a\b")))),
    ("a list of domain controllers", lambda: dfs.decode_referrals(referrals(entry(3, r"\a\b", flags=2)))),
    ("a target past the end", lambda: dfs.decode_referrals(referrals(entry(3, r"\a\b", at=999)))),
    ("a target without an end", lambda: dfs.decode_referrals(referrals(entry(4, r"\a\b")[:-2]))),
    ("a target as long as the reply", lambda: dfs.decode_referrals(referrals(entry(4, "a" * 3000)))),
]


@pytest.mark.parametrize("decode", [case[1] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_what_no_honest_server_sends_is_refused(decode: Callable[[], Any]) -> None:
    with pytest.raises(WireError):
        decode()


VALID: list[tuple[Callable[[bytes], Any], bytes]] = [
    (ioctl.decode_resume_key, reply(RESUME, KEY + bytes(8))),
    (ioctl.decode_copied, reply(COPY, bytes(12))),
    (ioctl.decode_ranges, reply(ioctl.FSCTL_QUERY_ALLOCATED_RANGES, struct.pack("<4Q", 0, 5, 9, 1))),
    (session.decode_session_setup, HEAD + struct.pack("<HHHH", 9, 0, 72, 3) + b"abc"),
    (tree.decode_tree_connect, tree_reply(1, 8)),
    (dfs.decode_referrals, referrals(entry(3, r"\a\b"), entry(4, r"\c\d"), entry(2, r"\e\f"), entry(1, r"\g\h"))),
]


@given(st.sampled_from(VALID), st.data())
def test_no_changed_byte_makes_a_decoder_fail_in_any_other_way(
    case: tuple[Callable[[bytes], Any], bytes], source: st.DataObject
) -> None:
    decode, message = case
    changed = bytearray(message)
    for _ in range(source.draw(st.integers(1, 6))):
        changed[source.draw(st.integers(0, len(message) - 1))] = source.draw(st.integers(0, 255))
    try:
        decode(bytes(changed[: source.draw(st.integers(0, len(changed)))]))
    except WireError:
        return


@given(st.lists(st.builds(ioctl.Chunk, *[st.integers(0, 2**63)] * 2, st.integers(0, 2**32 - 1)), max_size=256))
def test_every_chunk_is_in_the_request_where_the_server_looks_for_it(chunks: list[ioctl.Chunk]) -> None:
    body = ioctl.encode_copy_chunks(FID, KEY, chunks)
    start, length = struct.unpack_from("<II", body, 24)
    given_ = body[start - 64 : start - 64 + length]
    assert given_[:24] == KEY
    assert struct.unpack_from("<I", given_, 24)[0] == len(chunks)
    assert [struct.unpack_from("<QQI", given_, 32 + 24 * index) for index in range(len(chunks))] == chunks
