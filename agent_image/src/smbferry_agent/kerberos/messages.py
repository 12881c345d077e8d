"""The unencrypted fields of KDC messages (RFC 4120 section 5, RFC 6113), decoded from untrusted DER."""

import contextlib
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pyasn1.codec.der import decoder
from pyasn1.error import PyAsn1Error
from pyasn1.type import char, namedtype, tag, univ, useful


class MessageError(Exception):
    """The bytes are not the expected Kerberos message."""


_AS_REQ, _AS_REP, _TGS_REQ, _TGS_REP, _KRB_ERROR = 10, 11, 12, 13, 30
_PA_ENC_TIMESTAMP, _PA_ETYPE_INFO2, _PA_ENCRYPTED_CHALLENGE, _PA_SPAKE = 2, 19, 138, 151
_KERB_EXT_ERROR = 3  # PA-PW-SALT's number, which domain controllers use for KERB_ERR_TYPE_EXTENDED
_KERB_EXT_ERROR_SIZE: Final = 12
_WITH_KEY: Final = frozenset({_PA_ENC_TIMESTAMP, _PA_ENCRYPTED_CHALLENGE, _PA_SPAKE})
_APPLICATION_TAG: Final = 0x60
_TAG_NUMBER: Final = 0x1F


@dataclass(frozen=True, slots=True)
class EtypeInfo:
    """One entry of ETYPE-INFO2: the enctype of a key of the account, and the salt of that key."""

    etype: int
    salt: str | None


@dataclass(frozen=True, slots=True)
class KdcError:
    """A KRB-ERROR.

    Attributes:
        server_time: in whole seconds if the KDC sends no microseconds.
        nt_status: the NTSTATUS that a domain controller adds (MS-KILE section 2.2.1).
        server: the requested principal, without realm.
    """

    code: int
    server_time: datetime
    has_microseconds: bool
    realm: str
    etype_info: tuple[EtypeInfo, ...] = ()
    nt_status: int | None = None
    server: str = ""


@dataclass(frozen=True, slots=True)
class KdcReply:
    """An AS-REP or TGS-REP: enctype and key version of the part that is encrypted with the client's key."""

    initial: bool
    etype: int
    kvno: int | None
    ticket_etype: int
    ticket_kvno: int | None


@dataclass(frozen=True, slots=True)
class KdcRequest:
    """An AS-REQ or TGS-REQ: whether it has pre-authentication, which counts towards a lockout policy if wrong."""

    initial: bool
    proves_key: bool


def read_request(data: bytes) -> KdcRequest:
    """Decodes a request of libkrb5.

    Raises:
        MessageError: no AS-REQ or TGS-REQ.
    """
    number = _application(data)
    if number not in {_AS_REQ, _TGS_REQ}:
        raise MessageError(f"expected AS-REQ or TGS-REQ, got application tag {number}")
    request = _decode(data, _tagged(_KdcReq, number))
    types = {int(pa["padata-type"]) for pa in request["padata"]} if request["padata"].isValue else set()
    return KdcRequest(initial=number == _AS_REQ, proves_key=number == _AS_REQ and bool(types & _WITH_KEY))


def read_answer(data: bytes) -> KdcError | KdcReply:
    """Decodes an answer of a KDC.

    Raises:
        MessageError: no valid KRB-ERROR, AS-REP or TGS-REP.
    """
    number = _application(data)
    if number == _KRB_ERROR:
        return _read_error(_decode(data, _tagged(_KrbError, _KRB_ERROR)))
    if number not in {_AS_REP, _TGS_REP}:
        raise MessageError(f"expected KRB-ERROR, AS-REP or TGS-REP, got application tag {number}")
    reply = _decode(data, _tagged(_KdcRep, number))
    etype, kvno = _encrypted(reply["enc-part"])
    ticket_etype, ticket_kvno = _encrypted(reply["ticket"]["enc-part"])
    return KdcReply(number == _AS_REP, etype, kvno, ticket_etype, ticket_kvno)


def read_ticket(data: bytes) -> tuple[int, int | None]:
    """Decodes enctype and key version of a ticket from a credential cache.

    Raises:
        MessageError: no valid Ticket.
    """
    return _encrypted(_decode(data, _Ticket())["enc-part"])


def _read_error(error: Any) -> KdcError:
    try:
        moment = datetime.strptime(str(error["stime"]), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
        micros = int(error["susec"])
        moment = moment.replace(microsecond=micros)
    except ValueError as wrong:
        raise MessageError(f"expected a time in KRB-ERROR: {wrong}") from None
    code = int(error["error-code"])
    details = _method_data(bytes(error["e-data"])) if error["e-data"].isValue else {}
    server = "/".join(map(str, error["sname"]["name-string"]))
    return KdcError(code, moment, bool(micros), str(error["realm"]), _etype_info(details), _nt_status(details), server)


def _method_data(edata: bytes) -> dict[int, bytes]:
    """The e-data of a KRB-ERROR, by type: METHOD-DATA, or a single KERB-ERROR-DATA (MS-KILE section 2.2.2)."""
    for shape in (_MethodData, _PaData):
        with contextlib.suppress(MessageError):  # a KDC may send anything here; other data is ignored
            found = _decode(edata, shape())
            return {
                int(pa["padata-type"]): bytes(pa["padata-value"]) for pa in (found if shape is _MethodData else [found])
            }
    return {}


def _etype_info(details: dict[int, bytes]) -> tuple[EtypeInfo, ...]:
    if _PA_ETYPE_INFO2 not in details:
        return ()
    try:
        lines = _decode(details[_PA_ETYPE_INFO2], _EtypeInfo2())
    except MessageError:
        return ()  # ignored as well
    return tuple(EtypeInfo(int(i["etype"]), str(i["salt"]) if i["salt"].isValue else None) for i in lines)


def _nt_status(details: dict[int, bytes]) -> int | None:
    """The status of a KERB-EXT-ERROR: the first of three little-endian words."""
    value = details.get(_KERB_EXT_ERROR, b"")
    return struct.unpack_from("<I", value)[0] if len(value) == _KERB_EXT_ERROR_SIZE else None


def _encrypted(part: Any) -> tuple[int, int | None]:
    return int(part["etype"]), int(part["kvno"]) if part["kvno"].isValue else None


def _application(data: bytes) -> int:
    if not data or data[0] & 0xE0 != _APPLICATION_TAG:
        raise MessageError("expected a Kerberos message")
    return data[0] & _TAG_NUMBER


def _decode(data: bytes, spec: Any) -> Any:
    """Decodes a message by its schema; refuses bytes after it."""
    try:
        value, rest = decoder.decode(data, asn1Spec=spec)
        if rest:
            raise MessageError(f"got {len(rest)} bytes after the message")
        # Deep nesting exhausts the decoder's recursion; invalid lengths raise the other errors.
    except (PyAsn1Error, RecursionError, ValueError, IndexError, OverflowError, UnicodeError) as error:
        raise MessageError(f"not valid DER: {type(error).__name__}") from None
    return value


# --- Schemas: RFC 4120 section 5.2 to 5.9, as far as they are read --------------------------------------------------


def _explicit(number: int) -> tag.Tag:
    return tag.Tag(tag.tagClassContext, tag.tagFormatConstructed, number)


def _field(name: str, number: int, kind: Any) -> namedtype.NamedType:
    return namedtype.NamedType(name, kind.subtype(explicitTag=_explicit(number)))


def _optional(name: str, number: int, kind: Any) -> namedtype.OptionalNamedType:
    return namedtype.OptionalNamedType(name, kind.subtype(explicitTag=_explicit(number)))


def _tagged(kind: Any, number: int) -> Any:
    return kind().subtype(explicitTag=tag.Tag(tag.tagClassApplication, tag.tagFormatConstructed, number))


class _Names(univ.SequenceOf):  # type: ignore[misc]  # pyasn1 publishes no types; the same below
    componentType = char.GeneralString()  # noqa: N815 (pyasn1's own name; the same below)


class _PrincipalName(univ.Sequence):  # type: ignore[misc]
    componentType = namedtype.NamedTypes(_field("name-type", 0, univ.Integer()), _field("name-string", 1, _Names()))  # noqa: N815


class _PaData(univ.Sequence):  # type: ignore[misc]
    componentType = namedtype.NamedTypes(  # noqa: N815
        _field("padata-type", 1, univ.Integer()), _field("padata-value", 2, univ.OctetString())
    )


class _MethodData(univ.SequenceOf):  # type: ignore[misc]
    componentType = _PaData()  # noqa: N815


class _EtypeInfo2Entry(univ.Sequence):  # type: ignore[misc]
    componentType = namedtype.NamedTypes(  # noqa: N815
        _field("etype", 0, univ.Integer()),
        _optional("salt", 1, char.GeneralString()),
        _optional("s2kparams", 2, univ.OctetString()),
    )


class _EtypeInfo2(univ.SequenceOf):  # type: ignore[misc]
    componentType = _EtypeInfo2Entry()  # noqa: N815


class _EncryptedData(univ.Sequence):  # type: ignore[misc]
    componentType = namedtype.NamedTypes(  # noqa: N815
        _field("etype", 0, univ.Integer()),
        _optional("kvno", 1, univ.Integer()),
        _field("cipher", 2, univ.OctetString()),
    )


class _Ticket(univ.Sequence):  # type: ignore[misc]
    tagSet = univ.Sequence.tagSet.tagExplicitly(tag.Tag(tag.tagClassApplication, tag.tagFormatConstructed, 1))  # noqa: N815
    componentType = namedtype.NamedTypes(  # noqa: N815
        _field("tkt-vno", 0, univ.Integer()),
        _field("realm", 1, char.GeneralString()),
        _field("sname", 2, _PrincipalName()),
        _field("enc-part", 3, _EncryptedData()),
    )


class _KdcRep(univ.Sequence):  # type: ignore[misc]
    componentType = namedtype.NamedTypes(  # noqa: N815
        _field("pvno", 0, univ.Integer()),
        _field("msg-type", 1, univ.Integer()),
        _optional("padata", 2, _MethodData()),
        _field("crealm", 3, char.GeneralString()),
        _field("cname", 4, _PrincipalName()),
        _field("ticket", 5, _Ticket()),
        _field("enc-part", 6, _EncryptedData()),
    )


class _Integers(univ.SequenceOf):  # type: ignore[misc]
    componentType = univ.Integer()  # noqa: N815


class _TypedData(univ.Sequence):  # type: ignore[misc]
    componentType = namedtype.NamedTypes(  # noqa: N815 (HostAddress and AuthorizationData have this one shape)
        _field("type", 0, univ.Integer()), _field("data", 1, univ.OctetString())
    )


class _TypedDatas(univ.SequenceOf):  # type: ignore[misc]
    componentType = _TypedData()  # noqa: N815


class _Tickets(univ.SequenceOf):  # type: ignore[misc]
    componentType = _Ticket()  # noqa: N815


class _KdcReqBody(univ.Sequence):  # type: ignore[misc]
    componentType = namedtype.NamedTypes(  # noqa: N815
        _field("kdc-options", 0, univ.BitString()),
        _optional("cname", 1, _PrincipalName()),
        _field("realm", 2, char.GeneralString()),
        _optional("sname", 3, _PrincipalName()),
        _optional("from", 4, useful.GeneralizedTime()),
        _field("till", 5, useful.GeneralizedTime()),
        _optional("rtime", 6, useful.GeneralizedTime()),
        _field("nonce", 7, univ.Integer()),
        _field("etype", 8, _Integers()),
        _optional("addresses", 9, _TypedDatas()),
        _optional("enc-authorization-data", 10, _EncryptedData()),
        _optional("additional-tickets", 11, _Tickets()),
    )


class _KdcReq(univ.Sequence):  # type: ignore[misc]
    componentType = namedtype.NamedTypes(  # noqa: N815
        _field("pvno", 1, univ.Integer()),
        _field("msg-type", 2, univ.Integer()),
        _optional("padata", 3, _MethodData()),
        _field("req-body", 4, _KdcReqBody()),
    )


class _KrbError(univ.Sequence):  # type: ignore[misc]
    componentType = namedtype.NamedTypes(  # noqa: N815
        _field("pvno", 0, univ.Integer()),
        _field("msg-type", 1, univ.Integer()),
        _optional("ctime", 2, useful.GeneralizedTime()),
        _optional("cusec", 3, univ.Integer()),
        _field("stime", 4, useful.GeneralizedTime()),
        _field("susec", 5, univ.Integer()),
        _field("error-code", 6, univ.Integer()),
        _optional("crealm", 7, char.GeneralString()),
        _optional("cname", 8, _PrincipalName()),
        _field("realm", 9, char.GeneralString()),
        _field("sname", 10, _PrincipalName()),
        _optional("e-text", 11, char.GeneralString()),
        _optional("e-data", 12, univ.OctetString()),
    )
