"""Keytab files: what is read, what is refused, and that no bytes at all can do more than be refused."""

from __future__ import annotations

import base64
import dataclasses
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.smblab import keytab as writer

from smbferry_agent.kerberos.keytab import Keytab, KeytabError, parse

AES256, AES128, RC4 = 18, 17, 23
PRINCIPAL = "svc-src@CORP.EXAMPLE.COM"


def entry(
    *components: str, kvno: int = 2, enctype: int = AES256, key: bytes = b"k" * 32, realm: str = "CORP.EXAMPLE.COM"
) -> writer.Entry:
    return writer.Entry(realm, components or ("svc-src",), 1, 1_700_000_000, kvno, enctype, key)


def test_entries_have_principal_version_enctypes_and_time() -> None:
    found = parse(writer.write([entry(), entry(enctype=AES128), entry(kvno=3)])).entries()
    assert [(e.principal, e.kvno, e.enctypes) for e in found] == [
        (PRINCIPAL, 2, ("aes256-cts-hmac-sha1-96", "aes128-cts-hmac-sha1-96")),
        (PRINCIPAL, 3, ("aes256-cts-hmac-sha1-96",)),
    ]
    assert found[0].timestamp == datetime.fromtimestamp(1_700_000_000, UTC)


@pytest.mark.parametrize(
    ("components", "shown"),
    [
        (("cifs", "files.corp.example.com"), "cifs/files.corp.example.com@CORP.EXAMPLE.COM"),
        (("a/b",), "a\\/b@CORP.EXAMPLE.COM"),
        (("a@b",), "a\\@b@CORP.EXAMPLE.COM"),
    ],
)
def test_principals_are_written_as_libkrb5_writes_them(components: tuple[str, ...], shown: str) -> None:
    assert parse(writer.write([entry(*components)])).principals == (shown,)


def test_versions_are_newest_first_and_only_of_permitted_enctypes() -> None:
    keytab = parse(writer.write([entry(kvno=2), entry(kvno=300), entry(kvno=4, enctype=RC4), entry("other", kvno=9)]))
    assert keytab.versions(PRINCIPAL, {AES256, AES128}) == (300, 2)


def test_one_version_alone_is_a_keytab_again() -> None:
    keytab = parse(writer.write([entry(kvno=2), entry(kvno=3), entry("other", kvno=3)]))
    only = parse(keytab.only(PRINCIPAL, 3, {AES256}))
    assert [(k.principal, k.kvno) for k in only.keys] == [(PRINCIPAL, 3)]


def test_a_hole_that_a_removed_key_left_is_passed_over() -> None:
    one = writer.write([entry()])
    assert len(parse(one + (-8 & 0xFFFFFFFF).to_bytes(4, "big") + bytes(8)).keys) == 1


def test_old_writers_without_the_long_version_are_read() -> None:
    data = writer.write([entry(kvno=7)])
    shortened = data[:2] + (len(data) - 10).to_bytes(4, "big") + data[6:-4]
    assert parse(shortened).versions(PRINCIPAL, {AES256}) == (7,)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "got nothing"),
        (b"\x05\x01rest", "got 05 01"),
        (b"hello", "got 68 65"),
        (base64.b64encode(writer.write([entry()])), "looks like base64"),
        (b"\x05\x02", "contains no keys"),
        (writer.write([entry()])[:-1], "cut short"),
        (writer.write([entry()]) + b"\x00\x00", "cut short"),
        (b"\x05\x02\x00\x00\x00\x04\x00\x01\xff\xff", "damaged"),
        (b"\x05\x02\x00\x00\x00\x02\x00\x00", "damaged"),
    ],
)
def test_what_is_no_keytab_is_refused_with_what_was_found(data: bytes, says: str) -> None:
    with pytest.raises(KeytabError, match=says):
        parse(data)


@pytest.mark.fault(21)
@pytest.mark.parametrize("cut", range(len(writer.write([entry(), entry()]))))
def test_every_truncation_is_refused_or_ends_between_keys(cut: int) -> None:
    data = writer.write([entry(), entry()])[:cut]
    boundary = len(writer.write([entry()]))
    if cut == boundary:
        assert len(parse(data).keys) == 1
    else:
        with pytest.raises(KeytabError):
            parse(data)


@given(st.binary(max_size=300).map(lambda tail: b"\x05\x02" + tail))
def test_hostile_bytes_are_read_or_refused_and_nothing_else(data: bytes) -> None:
    try:
        keytab = parse(data)
    except KeytabError:
        return
    assert isinstance(keytab, Keytab)
    assert keytab.entries()


def test_a_key_never_shows_its_secret() -> None:
    keytab = parse(writer.write([entry(key=b"SECRETSECRETSECRETSECRETSECRETSE")]))
    assert "SECRET" not in repr(keytab)
    assert "SECRET" not in repr(keytab.entries())


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        pytest.param(entry(), True, id="the same entries"),
        pytest.param(entry(key=b"q" * 32), True, id="another key: its bytes have no part in it"),
        pytest.param(entry(kvno=3), False, id="another key version"),
        pytest.param(entry(enctype=AES128), False, id="another encryption type"),
        pytest.param(entry("svc-dst"), False, id="another principal"),
        pytest.param(dataclasses.replace(entry(), timestamp=1_700_000_001), False, id="written later"),
    ],
)
def test_the_fingerprint_stands_for_what_may_be_told_of_a_keytab(other: writer.Entry, alike: bool) -> None:
    first, second = (parse(writer.write([e])).fingerprint for e in (entry(), other))
    assert (first == second) is alike
    assert len(first) == 12
