"""The codecs of streams, extended attributes and volume flags, byte for byte and against hostile bytes; which of what
they name is copied.
"""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.fake_server.attachments import ea_list, stream_list
from lab.fake_server.replies import FID, HEAD, hexed

from smbferry_engine.errors import FileReason
from smbferry_engine.plan.attachments import (
    Attachments,
    Lost,
    attachment_differences,
    eas_of,
    eas_to_set,
    lacking_error,
    listed_alike,
    stream_path,
    streams_of,
)
from smbferry_engine.wire import info
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.extended_attributes import (
    ExtendedAttribute,
    decode_extended_attributes,
    encode_extended_attributes,
)
from smbferry_engine.wire.streams import StreamEntry, decode_streams, is_content_only
from smbferry_words.run import NotCarriedKind

EA_NAMES = st.binary(min_size=1, max_size=255).filter(lambda name: 0 not in name)
EAS = st.lists(st.builds(ExtendedAttribute, st.integers(0, 255), EA_NAMES, st.binary(max_size=300)), max_size=8)
NAMES = st.text(st.characters(codec="utf-8"), max_size=40)
STREAMS = st.lists(st.tuples(NAMES, st.integers(0, 2**63)), max_size=8)


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (info.encode_query_streams(FID, 65536), hexed("2900 01 16 00000100 0000 0000 00000000 00000000 00000000")),
        (
            info.encode_query_extended_attributes(FID, 65536),
            hexed("2900 01 0f 00000100 0000 0000 00000000 00000000 01000000"),
        ),
        (info.encode_query_volume(FID), hexed("2900 02 05 4c000000 0000 0000 00000000 00000000 00000000")),
    ],
)
def test_queries_are_laid_out_as_the_specification_says(encoded: bytes, expected: bytes) -> None:
    """QUERY_INFO 2.2.37; a list of extended attributes begins at its beginning (SL_RESTART_SCAN)."""
    assert encoded == expected + FID


def test_extended_attributes_are_set_as_the_specification_lays_them_out() -> None:
    """MS-FSCC 2.4.16: each entry begins at four bytes, and says where the next one does."""
    eas = [ExtendedAttribute(0, b"AB", b"xyz"), ExtendedAttribute(0x80, b"C", b"")]
    encoded = encode_extended_attributes(eas)
    assert encoded == hexed("10000000 00 02 0300 414200 78797a 0000", "00000000 80 01 0000 4300")
    assert info.encode_set_extended_attributes(FID, encoded)[:8] == hexed("2100 01 0f 1a000000")


def reply(output: bytes) -> bytes:
    return HEAD + struct.pack("<HHI", 9, 72, len(output)) + output


@pytest.mark.parametrize("name", [b"", "NTFS".encode("utf-16-le"), b"N\0T"])
def test_the_flags_of_a_volume_are_read_even_if_the_name_of_its_file_system_is_cut_off(name: bytes) -> None:
    assert info.decode_volume_flags(reply(struct.pack("<IiI", 0x00C40006, 255, 8) + name)) == 0x00C40006
    with pytest.raises(WireError):
        info.decode_volume_flags(reply(b"\0" * 11))


@given(EAS)
def test_extended_attributes_survive_being_set_and_read(eas: list[ExtendedAttribute]) -> None:
    assert decode_extended_attributes(encode_extended_attributes(eas)) == eas
    assert decode_extended_attributes(ea_list(eas)) == eas


@given(STREAMS)
def test_streams_are_read_as_a_server_lists_them(named: list[tuple[str, int]]) -> None:
    assert decode_streams(stream_list(named)) == named


CONTENT = "::$DATA"


@given(
    st.one_of(
        STREAMS,
        st.lists(st.tuples(st.sampled_from([CONTENT, ":a:$DATA", "::$DATB"]), st.integers(0, 2**63)), max_size=2),
    )
)
def test_a_reply_is_said_to_list_the_content_only_if_it_does(named: list[tuple[str, int]]) -> None:
    assert is_content_only(reply(stream_list(named))) is ([name for name, _ in named] == [CONTENT])


@given(st.integers(0, 2**63), st.data())
def test_a_damaged_reply_is_said_to_list_the_content_only_if_decoding_it_says_so(
    size: int, source: st.DataObject
) -> None:
    damaged = bytearray(reply(stream_list([(CONTENT, size)])))
    damaged[source.draw(st.integers(len(HEAD), len(damaged) - 1))] = source.draw(st.integers(0, 255))
    cut = memoryview(damaged)[: source.draw(st.integers(0, len(damaged)))]
    if is_content_only(cut):
        assert [entry.name for entry in decode_streams(info.decode_query(cut))] == [CONTENT]


@given(st.binary(max_size=200))
def test_noise_is_a_list_or_a_wire_error(noise: bytes) -> None:
    for decode in (decode_streams, decode_extended_attributes):
        try:
            found = decode(noise)
        except WireError:
            continue
        assert len(found) <= len(noise) // 8 + 1


@given(STREAMS, st.data())
def test_changed_bytes_of_a_list_raise_nothing_else(named: list[tuple[str, int]], source: st.DataObject) -> None:
    changed = bytearray(stream_list(named) or b"\0")
    for _ in range(3):
        changed[source.draw(st.integers(0, len(changed) - 1))] = source.draw(st.integers(0, 255))
    for decode in (decode_streams, decode_extended_attributes):
        try:
            decode(bytes(changed))
        except WireError:
            continue


@pytest.mark.parametrize("following", [1, 8, 23, 200])
def test_a_list_of_streams_that_points_into_itself_or_beyond_its_end_is_refused(following: int) -> None:
    with pytest.raises(WireError, match="stream"):
        decode_streams(struct.pack("<IIQQ", following, 0, 0, 0) + b"\0" * 24)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<IBBH", 4, 0, 1, 0) + b"A\0",
        struct.pack("<IBBH", 0, 0, 0, 0) + b"\0",
        struct.pack("<IBBH", 0, 0, 1, 0) + b"AB",
        struct.pack("<IBBH", 0, 0, 1, 2) + b"A\0x",
        struct.pack("<IBBH", 99, 0, 1, 0) + b"A\0",
        b"\0" * 7,
    ],
)
def test_a_list_of_extended_attributes_that_does_not_parse_says_so(data: bytes) -> None:
    with pytest.raises(WireError, match="extended attribute"):
        decode_extended_attributes(data)


def streams(*names: str) -> list[StreamEntry]:
    return [StreamEntry(f":{name}:$DATA", 1) for name in names]


def test_named_streams_are_those_beside_the_content() -> None:
    found, lost = streams_of([StreamEntry("::$DATA", 9), *streams("Zone.Identifier", "AFP_AfpInfo", 'a*?"<>|\x01 .')])
    assert [entry.name for entry in found] == ["Zone.Identifier", "AFP_AfpInfo", 'a*?"<>|\x01 .']
    assert lost == []
    assert stream_path("d\\f", found[0].name) == "d\\f:Zone.Identifier:$DATA"


@given(NAMES)
def test_no_name_of_a_stream_leads_out_of_its_file(name: str) -> None:
    found, lost = streams_of([StreamEntry(name, 1)])
    for entry in found:
        assert not set(entry.name) & set("\0/\\:")
        assert 0 < len(entry.name.encode("utf-16-le", "surrogatepass")) // 2 <= 255
    assert len(found) + len(lost) == (name.upper() != "::$DATA")


def test_two_streams_of_one_name_are_one_and_a_lost_one() -> None:
    found, lost = streams_of(streams("A", "a"))
    assert [entry.name for entry in found] == ["A"]
    assert [one.name for one in lost] == [":a:$DATA"]


def ea(name: bytes, value: bytes = b"1", flags: int = 0) -> ExtendedAttribute:
    return ExtendedAttribute(flags, name, value)


def test_which_extended_attributes_are_copied() -> None:
    found, lost = eas_of([ea(b"A"), ea(b"a", b"2"), ea(b"EMPTY", b""), ea(b"$Kernel.Smart"), ea(b"\xff")])
    assert [one.name for one in found] == [b"A", b"\xff"]
    assert [(one.name, one.fails) for one in lost] == [("a", True), ("EMPTY", True), ("$Kernel.Smart", False)]


@pytest.mark.parametrize(
    ("ours", "theirs", "wrong", "extra"),
    [
        ([ea(b"a")], [ea(b"A")], [], []),
        ([ea(b"a")], [], [ea(b"a")], []),
        ([ea(b"a", b"2")], [ea(b"A")], [ea(b"a", b"2")], []),
        ([ea(b"a", flags=0x80)], [ea(b"A")], [ea(b"a", flags=0x80)], []),
        ([], [ea(b"A")], [], [ea(b"A", b"")]),
    ],
)
def test_what_is_set_and_what_is_removed(
    ours: list[ExtendedAttribute],
    theirs: list[ExtendedAttribute],
    wrong: list[ExtendedAttribute],
    extra: list[ExtendedAttribute],
) -> None:
    assert eas_to_set(ours, theirs) == (wrong, extra)
    assert listed_alike(Attachments(eas=tuple(ours)), Attachments(eas=tuple(theirs))) is not bool(wrong or extra)


def test_differences_are_told_in_words() -> None:
    ours = Attachments((StreamEntry("A", 1), StreamEntry("b", 1)), (ea(b"E"),))
    theirs = Attachments((StreamEntry("a", 1), StreamEntry("c", 1)), (ea(b"F"),))
    assert attachment_differences(ours, theirs, ({"A": b"1", "b": b"1"}, {"a": b"2", "c": b"1"})) == [
        "stream 'A' has other content at the destination",
        "stream 'c' is only at the destination",
        "stream 'b' is missing at the destination",
        "extended attribute 'E' differs at the destination",
        "extended attribute 'F' is only at the destination",
    ]


def test_a_file_that_lacks_something_has_the_reason_of_the_first() -> None:
    stream, kernel = NotCarriedKind.STREAM, NotCarriedKind.EXTENDED_ATTRIBUTE
    assert lacking_error([Lost(kernel, "$KERNEL.X", "kernel", fails=False)]) is None
    error = lacking_error([Lost(stream, "a", "no streams"), Lost(stream, "b", "x"), Lost(kernel, "E", "y")])
    assert error is not None
    assert error.reason == FileReason.STREAM_NOT_CARRIED
    assert error.message == "everything else was copied; streams that were not: 2, first 'a': no streams"
