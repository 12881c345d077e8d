"""The client side of a Kerberos exchange in SPNEGO (RFC 4178), the only way to authenticate a session.

Kerberos is the only mechanism that is offered, so there is no fallback. libkrb5 creates and checks the tokens.
"""

import importlib
from typing import Any, Final

from smbferry_engine.errors import EngineError
from smbferry_engine.model import Endpoint
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.spnego import (
    MECHANISMS,
    NegotiationReply,
    NegotiationState,
    decode_reply,
    encode_mic,
    encode_offer,
)
from smbferry_words.reasons import MUTUAL_AUTHENTICATION_FAILED

# GSS_C_INQ_SSPI_SESSION_KEY of libgssapi_krb5 (gssapi_ext.h).
_SESSION_KEY_OID: Final = "1.2.840.113554.1.2.2.5.5"


class Exchange:
    """One exchange of tokens for the endpoint's service, with its principal's ticket from its cache.

    The constructor reads the Kerberos configuration and may contact the KDC: call it in ``krb5_environment``. ``token``
    is the first token to send.

    Raises:
        gssapi.exceptions.GSSError: libkrb5 has no ticket, or rejects the server's answer. EngineError: the server's
        answer is invalid, or proves nothing.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        gssapi: Any = importlib.import_module("gssapi")
        self._service = endpoint.service_principal
        self._mutual = gssapi.RequirementFlag.mutual_authentication
        principal = gssapi.Name(endpoint.principal, gssapi.NameType.kerberos_principal)
        service = gssapi.Name(f"cifs@{self._service.partition('/')[2]}", gssapi.NameType.hostbased_service)
        self._context = gssapi.SecurityContext(
            # Resolved here; otherwise each step resolves it, with the configuration that is in effect then.
            name=service.canonicalize(gssapi.MechType.kerberos),
            creds=gssapi.Credentials(name=principal, usage="initiate", store={"ccache": endpoint.ccache}),
            usage="initiate",
            mech=gssapi.MechType.kerberos,
            flags=self._mutual | gssapi.RequirementFlag.integrity,
        )
        self.token = encode_offer(bytes(self._context.step() or b""))
        self._sent_mic = False

    def step(self, answer: bytes) -> bytes | None:
        """Process the server's answer; returns the next token, None once the server has accepted and proved itself."""
        reply = self._decode(answer)
        if not reply.kerberos or (reply.state is NegotiationState.REJECT and not reply.token):
            raise self._unproved("got another mechanism" if not reply.kerberos else "got a rejection")
        if reply.token and not self._context.complete:
            self._context.step(reply.token)
        if not (self._context.complete and self._context.actual_flags & self._mutual):
            raise self._unproved("got none")
        if reply.mic and reply.mic != reply.token:  # Windows 2000 repeats the token there (MS-SPNG appendix A)
            self._context.verify_signature(MECHANISMS, reply.mic)
        if reply.state is NegotiationState.ACCEPT_COMPLETED:
            # The mechanism that was offered first is the one that was chosen, so no MIC is required (section 5).
            return None
        if reply.state in (None, NegotiationState.REJECT) or self._sent_mic:
            raise self._unproved(f"got no acceptance ({reply.state})")
        self._sent_mic = True
        return encode_mic(bytes(self._context.get_signature(MECHANISMS)))

    def _decode(self, answer: bytes) -> NegotiationReply:
        if not answer:
            raise self._unproved("got none")
        try:
            return decode_reply(answer)
        except WireError as error:
            raise self._unproved(f"got an answer that is not SPNEGO: {error}") from error

    def _unproved(self, found: str) -> EngineError:
        return EngineError(
            MUTUAL_AUTHENTICATION_FAILED,
            f"expected a proof that the server has the key of {self._service}, {found}",
        )

    @property
    def session_key(self) -> bytes:
        """The session key, as long as the ticket's encryption type makes it."""
        raw: Any = importlib.import_module("gssapi.raw")
        found = raw.inquire_sec_context_by_oid(self._context, raw.OID.from_int_seq(_SESSION_KEY_OID))
        return bytes(found[0])
