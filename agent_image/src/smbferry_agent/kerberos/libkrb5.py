"""The only module that imports libkrb5's bindings; converts their errors.

libkrb5 finds its configuration through environment variables, so the engine's lock serializes calls.
"""

import importlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from smbferry_agent.kerberos.facts import Ticket
from smbferry_agent.kerberos.messages import read_ticket
from smbferry_engine import krb5_environment


class _Binding:
    """A compiled binding, imported at its first use: code that needs no tickets works without it."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._module), name)


gssapi, gssapi_raw, krb5 = _Binding("gssapi"), _Binding("gssapi.raw"), _Binding("krb5")

_PROTOCOL_ERRORS: Final = -1765328384  # krb5_err.et: ERROR_TABLE_BASE_krb5; RFC 4120 codes follow it
_LAST_PROTOCOL_ERROR: Final = 127
REALM_UNKNOWN: Final = -1765328230  # KRB5_REALM_UNKNOWN: libkrb5 knows no KDC of the realm
_SIGN: Final = 1 << 31


class KerberosError(Exception):
    """An error of libkrb5.

    Attributes:
        code: the error code of RFC 4120, also for errors that libkrb5 itself detected; None for others.
    """

    def __init__(self, minor: int, text: str) -> None:
        super().__init__(text)
        offset = minor - _PROTOCOL_ERRORS
        self.minor = minor
        self.code = offset if 0 < offset <= _LAST_PROTOCOL_ERROR else None


def account_info(config: Path, principal: str, etypes: Sequence[int]) -> tuple[int, str | None]:
    """Sends an AS-REQ without pre-authentication; returns the account's best enctype of those asked, and its salt.

    Raises:
        KerberosError: unknown account, none of these enctypes, account disabled, KDC unreachable, …
    """
    with krb5_environment(str(config)), _converted():
        context = krb5.init_context()
        options = krb5.get_init_creds_opt_alloc(context)
        krb5.get_init_creds_opt_set_etype_list(options, list(etypes))
        info = krb5.get_etype_info(context, krb5.parse_name_flags(context, principal.encode()), options)
    return int(info.etype), None if info.salt is None else info.salt.decode(errors="backslashreplace")


def initial_ticket(config: Path, principal: str, keytab: Path, etypes: Sequence[int], ccache: Path) -> Ticket:
    """Gets a ticket-granting ticket with the keytab's key, as the only ticket of a new credential cache (0600).

    Raises:
        KerberosError: the KDC refused the key or the account, or could not be reached.
    """
    with krb5_environment(str(config)), _converted():
        context = krb5.init_context()
        client = krb5.parse_name_flags(context, principal.encode())
        options = krb5.get_init_creds_opt_alloc(context)
        krb5.get_init_creds_opt_set_etype_list(options, list(etypes))
        table = krb5.kt_resolve(context, b"FILE:" + os.fsencode(keytab))
        credentials = krb5.get_init_creds_keytab(context, client, options, table)
        cache = krb5.cc_resolve(context, b"FILE:" + os.fsencode(ccache))
        krb5.cc_initialize(context, cache, client)
        krb5.cc_store_cred(context, cache, credentials)
        return _ticket(context, credentials)


def service_ticket(config: Path, ccache: Path, target: str) -> Ticket:
    """Gets a ticket for the service and adds it to the credential cache.

    Args:
        target: service/host, or service/host@REALM; without a realm, [domain_realm] or a referral gives it.

    Raises:
        KerberosError: the KDC does not know the service, or could not be reached.
    """
    with krb5_environment(str(config)), _converted():
        credentials = gssapi.Credentials(usage="initiate", store={"ccache": f"FILE:{ccache}"})
        name = _service_name(target)
        context = gssapi.SecurityContext(
            name=name, creds=credentials, usage="initiate", mech=gssapi.MechType.kerberos,
            flags=gssapi.RequirementFlag.mutual_authentication,
        )  # fmt: skip
        context.step()
        return _find(ccache, target)


def copy_without(ccache: Path, copy: Path, service: str) -> None:
    """Copies the credential cache (0600) without the ticket for the service, in any realm.

    Raises:
        KerberosError: one of the two files is unusable.
    """
    with _converted():
        context = krb5.init_context()
        old, new = (krb5.cc_resolve(context, b"FILE:" + os.fsencode(path)) for path in (ccache, copy))
        krb5.cc_initialize(context, new, krb5.cc_get_principal(context, old))
        for credentials in old:
            if not _is_for(context, credentials, service):
                krb5.cc_store_cred(context, new, credentials)


def _service_name(target: str) -> Any:
    if "@" in target:
        return gssapi.Name(target, gssapi.NameType.kerberos_principal)
    service, _, host = target.partition("/")
    return gssapi.Name(f"{service}@{host}", gssapi.NameType.hostbased_service)


def _find(ccache: Path, target: str) -> Ticket:
    context = krb5.init_context()
    for credentials in krb5.cc_resolve(context, b"FILE:" + os.fsencode(ccache)):
        if _is_for(context, credentials, target):
            return _ticket(context, credentials)
    raise KerberosError(0, f"libkrb5 kept no ticket for {target}")


def _is_for(context: Any, credentials: Any, target: str) -> bool:
    """Whether the ticket is for the service. libkrb5 and KDCs may add a realm and change case."""
    server = _unparse(context, credentials.server)
    return server.partition("@")[0].lower() == target.partition("@")[0].lower()


def _ticket(context: Any, credentials: Any) -> Ticket:
    etype, kvno = read_ticket(credentials.ticket)
    times = credentials.times
    return Ticket(
        server=_unparse(context, credentials.server),
        enctype=etype,
        kvno=kvno,
        start_time=datetime.fromtimestamp(times.starttime or times.authtime, UTC),
        end_time=datetime.fromtimestamp(times.endtime, UTC),
        renew_until=datetime.fromtimestamp(times.renew_till, UTC) if times.renew_till else None,
    )


def _unparse(context: Any, principal: Any) -> str:
    return str(krb5.unparse_name_flags(context, principal).decode(errors="backslashreplace"))


@contextmanager
def _converted() -> Iterator[None]:
    try:
        yield
    except krb5.Krb5Error as error:
        raise KerberosError(error.err_code, str(error)) from None
    except gssapi_raw.GSSError as error:
        # gssapi returns libkrb5's signed codes as unsigned.
        minor = error.min_code - 2 * _SIGN if error.min_code >= _SIGN else error.min_code
        raise KerberosError(minor, error.gen_message()) from None
