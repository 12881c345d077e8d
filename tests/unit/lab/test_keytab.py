"""Keytabs: what is written is read back, what is damaged is refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.smblab import keytab
from lab.smblab.errors import LabError

WORD = st.text(st.characters(codec="utf-8"), max_size=20)
ENTRIES = st.builds(
    keytab.Entry,
    realm=WORD,
    components=st.lists(WORD, min_size=1, max_size=3).map(tuple),
    name_type=st.integers(0, 2**32 - 1),
    timestamp=st.integers(0, 2**32 - 1),
    kvno=st.integers(1, 2**32 - 1),
    enctype=st.integers(0, 2**16 - 1),
    key=st.binary(max_size=64),
)
ONE = keytab.Entry("R", ("svc", "host"), 1, 0, 300, keytab.AES256_SHA1, b"k" * 32)


@given(st.lists(ENTRIES, max_size=4))
def test_what_is_written_is_read_back(entries: list[keytab.Entry]) -> None:
    assert keytab.parse(keytab.write(entries)) == entries


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = keytab.parse(keytab.VERSION + data)
    except LabError:
        return
    assert all(isinstance(entry, keytab.Entry) for entry in found)


def test_a_hole_is_skipped() -> None:
    data = keytab.write([ONE])
    hole = struct.pack(">i", -6) + b"\0" * 6
    assert keytab.parse(data[:2] + hole + data[2:]) == [ONE]


def test_an_entry_without_the_long_kvno_has_the_short_one() -> None:
    data = keytab.write([ONE])
    body = data[6:-4]
    assert keytab.parse(keytab.VERSION + struct.pack(">i", len(body)) + body)[0].kvno == 300 & 0xFF


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "got nothing"),
        (b"\x05\x01", "got 05 01"),
        (keytab.write([ONE])[:-1], "truncated"),
        (keytab.VERSION + struct.pack(">iH", 2, 1), "damaged"),
    ],
)
def test_what_is_no_keytab_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(LabError, match=message):
        keytab.parse(data)


def test_a_principal_is_written_as_people_do() -> None:
    assert ONE.principal == "svc/host@R"
