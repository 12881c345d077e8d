"""KDC messages, recorded from a real domain: what is read of them, and that hostile bytes can only be refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.support.stubs import stub_kdc

from smbferry_agent.kerberos.error_codes import ErrorCode
from smbferry_agent.kerberos.messages import KdcError, KdcReply, MessageError, read_answer, read_request, read_ticket

FOLDER = Path(__file__).with_name("messages")
RECORDED = {path.stem: bytes.fromhex(path.read_text()) for path in sorted(FOLDER.glob("*.hex"))}


@pytest.mark.parametrize(
    ("name", "initial", "proves_key"),
    [("as-req", True, False), ("as-req-with-key", True, True), ("tgs-req", False, False)],
)
def test_requests_tell_whether_they_prove_a_key(name: str, initial: bool, proves_key: bool) -> None:
    request = read_request(RECORDED[name])
    assert (request.initial, request.proves_key) == (initial, proves_key)


def test_preauth_required_tells_clock_enctypes_and_salt() -> None:
    error = read_answer(RECORDED["krb-error-25"])
    assert isinstance(error, KdcError)
    assert error.code == ErrorCode.PREAUTH_REQUIRED
    assert error.has_microseconds
    assert error.server_time.tzinfo is UTC
    assert error.server_time.date() == datetime(2026, 11, 21, tzinfo=UTC).date()
    assert error.etype_info[0].etype == 18
    assert error.etype_info[0].salt is not None
    assert error.etype_info[0].salt.startswith("CORP.EXAMPLE.COM")


@pytest.mark.parametrize("code", [24, 6])
def test_errors_tell_their_code(code: int) -> None:
    error = read_answer(RECORDED[f"krb-error-{code}"])
    assert isinstance(error, KdcError)
    assert error.code == code


@pytest.mark.parametrize("of_windows", [True, False])
def test_an_error_of_a_domain_controller_tells_its_nt_status(of_windows: bool) -> None:
    """Windows sends a single KERB-ERROR-DATA, Samba one among others."""
    one = stub_kdc.pa_data(3, stub_kdc.nt_status(0xC0000072))
    edata = one if of_windows else stub_kdc.der(0x30, stub_kdc.pa_data(4, b""), one)
    error = read_answer(stub_kdc.krb_error(18, "EXAMPLE.COM", e_data=edata))
    assert isinstance(error, KdcError)
    assert (error.code, error.nt_status) == (18, 0xC0000072)


@pytest.mark.parametrize("edata", [b"", b"\x30", b"e-data of its own", stub_kdc.pa_data(3, b"short")])
def test_e_data_of_another_kind_tells_nothing_and_harms_nothing(edata: bytes) -> None:
    error = read_answer(stub_kdc.krb_error(18, "EXAMPLE.COM", e_data=edata))
    assert isinstance(error, KdcError)
    assert (error.code, error.nt_status, error.etype_info) == (18, None, ())


def test_an_as_rep_tells_enctype_and_key_version_of_the_account() -> None:
    reply = read_answer(RECORDED["as-rep"])
    assert isinstance(reply, KdcReply)
    assert (reply.initial, reply.etype, reply.kvno, reply.ticket_etype) == (True, 18, 2, 18)


def test_a_tgs_rep_tells_the_service_tickets_enctype() -> None:
    reply = read_answer(RECORDED["tgs-rep"])
    assert isinstance(reply, KdcReply)
    assert (reply.initial, reply.ticket_etype) == (False, 18)


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_every_truncation_is_refused(name: str) -> None:
    data, read = RECORDED[name], read_request if "req" in name else read_answer
    for cut in range(0, len(data), max(1, len(data) // 60)):
        with pytest.raises(MessageError):
            read(data[:cut])
    with pytest.raises(MessageError):
        read(data + b"\x00")


@given(st.sampled_from(sorted(RECORDED)), st.integers(0, 2000), st.integers(0, 255))
def test_a_changed_byte_is_read_or_refused_and_nothing_else(name: str, at: int, value: int) -> None:
    data = bytearray(RECORDED[name])
    data[at % len(data)] = value
    for read in (read_request, read_answer):
        try:
            read(bytes(data))
        except MessageError:
            continue


@given(
    st.binary(max_size=200).flatmap(lambda b: st.sampled_from([b, b"\x7e" + b, b"\x6b" + b, b"\x6a" + b, b"\x61" + b]))
)
def test_random_bytes_are_refused(data: bytes) -> None:
    for read in (read_request, read_answer, read_ticket):
        with pytest.raises(MessageError):
            read(data)


def test_deep_nesting_is_refused() -> None:
    nested = b"\x30\x80" * 5000
    with pytest.raises(MessageError):
        read_answer(b"\x7e\x84" + len(nested).to_bytes(4, "big") + nested)


@pytest.mark.fault(99)
def test_codes_are_shown_by_their_rfc_name() -> None:
    assert ErrorCode.describe(24) == "KDC_ERR_PREAUTH_FAILED (24)"
    assert ErrorCode.describe(99) == "error (99)"
    assert ErrorCode.describe(13) == "KDC_ERR_BADOPTION (13)"
    assert ErrorCode.describe(52) == "KRB_ERR_RESPONSE_TOO_BIG (52)"
    unused = {30, 43, *range(53, 60)}
    assert [code for code in range(77) if ErrorCode.describe(code).startswith("error")] == sorted(unused)
