"""The buffer of a link (MS-FSCC 2.1.2.4 and 2.1.2.5) is read as it was written, and a malformed one is refused."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.fake_server import Node
from lab.fake_server.windows_server_2022 import MOUNT_POINT, SYMLINK, junction, symlink

from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.reparse import Link, decode_link, encode_link

NAMES = st.text(st.characters(codec="utf-16", exclude_characters="\0"), min_size=1, max_size=40)


# --- the buffer ------------------------------------------------------------------------------------------------------


@given(
    st.builds(Link, st.just(SYMLINK), NAMES, st.just("") | NAMES, st.booleans())
    | st.builds(Link, st.just(MOUNT_POINT), NAMES, st.just("") | NAMES, st.just(value=False))
)
def test_a_link_is_read_as_it_was_written(link: Link) -> None:
    assert decode_link(encode_link(link)) == link


@given(st.sampled_from([symlink(), junction()]), st.data())
def test_whatever_a_server_says_of_a_link_is_a_link_or_refused(node: Node, data: st.DataObject) -> None:
    raw = bytearray(node.reparse_data)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    del raw[data.draw(st.integers(0, len(raw))) :]
    try:
        link = decode_link(bytes(raw))
    except WireError:
        return
    assert decode_link(encode_link(link)) == link
    assert "\0" not in link.target + link.shown


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "reparse point"),
        (struct.pack("<IHH", 0x80000013, 0, 0), "expected a symbolic link or junction, got tag 0x80000013"),
        (struct.pack("<IHH", SYMLINK, 90, 0) + bytes(12), "expected 90 bytes, got 12"),
        (struct.pack("<IHHHHHHI", SYMLINK, 12, 0, 0, 2, 0, 0, 0), "are no name"),
        (struct.pack("<IHHHHHHI", SYMLINK, 14, 0, 1, 1, 0, 0, 0) + b"a\0", "are no name"),
        (struct.pack("<IHHHHHHI", SYMLINK, 14, 0, 0, 1, 0, 0, 0) + b"a\0", "UTF-16"),
        (struct.pack("<IHHHHHHI", SYMLINK, 14, 0, 0, 2, 0, 0, 4) + b"a\0", "flags"),
        (struct.pack("<IHHHHHHI", SYMLINK, 14, 0, 0, 2, 0, 0, 0) + b"\0\0", "NUL"),
        (struct.pack("<IHHHHHH", MOUNT_POINT, 8, 0, 0, 0, 0, 0), "expected a target"),
        (struct.pack("<IHHHHHH", MOUNT_POINT, 8, 0, 0, 0, 0, 0) + bytes(20_000), "expected 8 bytes"),
    ],
)
def test_a_malformed_link_is_refused_by_name(data: bytes, message: str) -> None:
    with pytest.raises(WireError, match=message):
        decode_link(data)


def test_names_that_fit_no_buffer_are_refused() -> None:
    with pytest.raises(WireError, match="fit"):
        encode_link(Link(SYMLINK, "x" * 9_000, ""))
    with pytest.raises(WireError, match="at most"):
        encode_link(Link(SYMLINK, "x" * 8_000, "x" * 8_000))
