"""The codecs of snapshots: the timewarp token of a CREATE and the list of snapshots, byte for byte and hostile."""

import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.fake_server.replies import FID, HEAD, hexed

from smbferry_engine.times import to_filetime
from smbferry_engine.wire.create import encode_create
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.ioctl import FSCTL_SRV_ENUMERATE_SNAPSHOTS
from smbferry_engine.wire.snapshots import SnapshotArray, decode_snapshots, encode_enumerate_snapshots

# Two snapshots of a Windows volume (linux-cifs, commit e02789a53d71 quotes them): 102 bytes, the last null included.
TOKENS = ("@GMT-2018.06.30-19.34.17", "@GMT-2018.06.30-19.33.37")
TIMES = (datetime(2018, 6, 30, 19, 34, 17, tzinfo=UTC), datetime(2018, 6, 30, 19, 33, 37, tzinfo=UTC))
EARLIEST, LATEST = datetime(1601, 1, 2), datetime(9999, 12, 31)  # noqa: DTZ001  # hypothesis takes them without a zone


def array(*tokens: str) -> bytes:
    return "".join(f"{token}\0" for token in (*tokens, "")).encode("utf-16-le", "surrogatepass")


def reply(total: int, returned: int, strings: bytes, *, size: int | None = None) -> bytes:
    output = struct.pack("<III", total, returned, len(strings) if size is None else size) + strings
    fixed = struct.pack("<HHI16s6I", 49, 0, FSCTL_SRV_ENUMERATE_SNAPSHOTS, FID, 112, 0, 112, len(output), 0, 0)
    return HEAD + fixed + output


def test_a_list_of_snapshots_is_asked_for() -> None:
    assert encode_enumerate_snapshots(FID, 65536) == hexed("3900 0000 64401400") + FID + hexed(
        "00000000 00000000 00000000 00000000 00000000 00000100 01000000 00000000 00"
    )


def test_a_file_is_opened_in_a_snapshot() -> None:
    body = encode_create("abc", access=1, disposition=1, options=1, share=7, contexts=(b"QFid",), snapshot=0x0102)
    assert body == hexed(
        "3900 00 00 02000000", "00" * 8, "00" * 8, "01000000 00000000 07000000 01000000 01000000",
        "7800 0600 80000000 38000000", "610062006300 0000",
        "18000000 1000 0400 0000 0000 00000000 51466964 00000000",
        "00000000 1000 0400 0000 1800 08000000 54577270 00000000 0201000000000000",
    )  # fmt: skip


def test_without_a_snapshot_there_is_no_token() -> None:
    assert b"TWrp" not in encode_create("abc", access=1, disposition=1, options=1, share=7, contexts=(b"QFid",))


def test_tokens_are_times() -> None:
    assert len(array(*TOKENS)) == 102
    assert decode_snapshots(reply(2, 2, array(*TOKENS))) == SnapshotArray(2, TIMES, 114)


@pytest.mark.parametrize("strings", [b"", bytes(4)])
@pytest.mark.parametrize(("total", "size"), [(0, 0), (0, 2), (700, 35_002)])
def test_no_snapshots_and_too_many_for_the_reply_look_alike(total: int, size: int, strings: bytes) -> None:
    assert decode_snapshots(reply(total, 0, strings, size=size)) == SnapshotArray(total, (), 12 + size)


HOSTILE = {
    "cut short": reply(1, 1, array(TOKENS[0]))[:-60],
    "no counts": reply(0, 0, b"")[:-12],
    "an array past the end": reply(1, 1, array(TOKENS[0]), size=4000),
    "an array of half a unit": reply(1, 1, array(TOKENS[0]), size=49),
    "more returned than there are": reply(1, 2, array(*TOKENS)),
    "fewer tokens than counted": reply(9, 9, array(*TOKENS)),
    "more tokens than counted": reply(9, 1, array(*TOKENS)),
    "an empty token": reply(2, 2, array("", TOKENS[0])),
    "no tokens at all": reply(1, 1, bytes(8)),
    "a name": reply(1, 1, array("..\\..\\secret")),
    "a token with a path behind it": reply(1, 1, array(TOKENS[0] + "\\x")),
    "digits of another script": reply(1, 1, array("@GMT-\uff12\uff10\uff11\uff18.06.30-19.34.17")),
    "a day that does not exist": reply(1, 1, array("@GMT-2018.02.30-19.34.17")),
    "an hour that does not exist": reply(1, 1, array("@GMT-2018.02.20-24.00.00")),
    "a time before FILETIME": reply(1, 1, array("@GMT-1600.12.31-00.00.00")),
    "the time that stands for no snapshot": reply(1, 1, array("@GMT-1601.01.01-00.00.00")),
    "the year 0": reply(1, 1, array("@GMT-0000.01.01-00.00.00")),
    "half a surrogate": reply(1, 1, array(TOKENS[0] + "\ud800")),
}


@pytest.mark.parametrize("message", HOSTILE.values(), ids=HOSTILE)
def test_what_no_honest_server_sends_is_refused(message: bytes) -> None:
    with pytest.raises(WireError):
        decode_snapshots(message)


@given(st.lists(st.datetimes(EARLIEST, LATEST), max_size=50))
def test_every_time_survives_to_the_second(moments: list[datetime]) -> None:
    times = tuple(moment.replace(microsecond=0, tzinfo=UTC) for moment in moments)
    tokens = [f"@GMT-{t.year:04}.{t.month:02}.{t.day:02}-{t.hour:02}.{t.minute:02}.{t.second:02}" for t in times]
    assert decode_snapshots(reply(len(tokens), len(tokens), array(*tokens))).times == times
    assert all(0 < to_filetime(time) < 2**63 for time in times)


@given(st.data())
def test_no_changed_byte_makes_the_decoder_fail_in_any_other_way(source: st.DataObject) -> None:
    changed = bytearray(reply(2, 2, array(*TOKENS)))
    for _ in range(source.draw(st.integers(1, 6))):
        changed[source.draw(st.integers(64, len(changed) - 1))] = source.draw(st.integers(0, 255))
    try:
        decode_snapshots(bytes(changed[: source.draw(st.integers(0, len(changed)))]))
    except WireError:
        return
