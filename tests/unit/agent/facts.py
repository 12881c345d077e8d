"""Facts as a healthy check gathers them; tests change what they are about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lab.smblab import keytab as writer

from smbferry_agent.kerberos.facts import (
    AccountFacts,
    Attempt,
    AttemptOutcome,
    ClockSample,
    Discovery,
    Kdc,
    KdcSource,
    KeyTry,
    Ticket,
)
from smbferry_agent.kerberos.keytab import Keytab, parse
from smbferry_agent.kerberos.krb5_config import Krb5Config
from smbferry_agent.preflight.identity_facts import IdentityFacts
from smbferry_agent.preflight.location_facts import LocationFacts, ServerNames
from smbferry_agent.resolve import Lookup, Outcome
from smbferry_api.identity import KerberosIdentitySpec
from smbferry_api.location import SmbLocationSpec
from smbferry_engine import Evidence, ShareFacts

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
REALM = "CORP.EXAMPLE.COM"
PRINCIPAL = f"svc-src@{REALM}"
KDC = Kdc("dc1.corp.example.com", "10.0.0.9", 88, KdcSource.CONFIG)
TICKET = Ticket(f"krbtgt/{REALM}@{REALM}", 18, 1, NOW, NOW + timedelta(hours=10), None)
SERVICE = Ticket(f"cifs/files.corp.example.com@{REALM}", 18, 1, NOW, NOW + timedelta(hours=10), None)
SPEC = KerberosIdentitySpec.model_validate(
    {"principal": PRINCIPAL, "keytabSecretRef": {"name": "keytab"}, "krb5ConfigMapRef": {"name": "krb5"}}
)
LOCATION = SmbLocationSpec.model_validate(
    {"server": "files.corp.example.com", "share": "finance", "identityRef": {"name": "svc-src"}}
)


def keytab(*versions: int, principal: str = PRINCIPAL, enctype: int = 18, made: int = 1_700_000_000) -> Keytab:
    name, realm = principal.split("@")
    entries = [writer.Entry(realm, (name,), 1, made, v, enctype, b"k" * 32) for v in versions or (3,)]
    return parse(writer.write(entries))


def worked(kvno: int = 3, account_kvno: int | None = 3) -> KeyTry:
    return KeyTry(kvno, (18,), TICKET, 18, account_kvno)


def refused(kvno: int = 3, code: int | None = 24, detail: str = "", nt_status: int | None = None) -> KeyTry:
    return KeyTry(kvno, (18,), code=code, nt_status=nt_status, detail=detail)


def clock(seconds: float) -> ClockSample:
    return ClockSample(timedelta(seconds=seconds), timedelta(milliseconds=4))


IN_SYNC = clock(0.01)


def account(
    *tries: KeyTry,
    clock_: ClockSample | None = IN_SYNC,
    probe_code: int | None = None,
    detail: str = "",
    salt: str | None = f"{REALM}svc-src",
) -> AccountFacts:
    return AccountFacts(
        attempts=(Attempt(KDC, AttemptOutcome.ANSWERED),),
        answered=KDC,
        round_trip=timedelta(milliseconds=3),
        clock=clock_,
        probe_code=probe_code,
        probe_detail=detail,
        enctypes=(18, 17),
        salt=salt,
        tries=tries,
    )


def silent(*outcomes: AttemptOutcome) -> AccountFacts:
    return AccountFacts(attempts=tuple(Attempt(KDC, o) for o in outcomes))


def discovery(*lookups: Lookup, kdcs: tuple[Kdc, ...] = (KDC,), refused_: tuple[str, ...] = ()) -> Discovery:
    return Discovery(KdcSource.CONFIG, kdcs, lookups, refused_)


def identity(account_: AccountFacts | None = None, **changed: object) -> IdentityFacts:
    values = {
        "config": Krb5Config(),
        "keytab": keytab(),
        "discovery": discovery(),
        "account": account_ or account(worked()),
        **changed,
    }
    return IdentityFacts(**values)  # type: ignore[arg-type]  # tests name what they change


def lookup(outcome: Outcome = Outcome.FOUND, *answers: str, name: str = "files.corp.example.com") -> Lookup:
    return Lookup(name, "A, AAAA", outcome, answers, ("10.0.0.53",))


NAMES = ServerNames(lookup(Outcome.FOUND, "10.0.0.5"), ("10.0.0.5",))
SHARE = ShareFacts(
    evidence=Evidence(PRINCIPAL, "3.1.1", "AES-256-GCM", "AES-GMAC", "files", True, 1 << 20, 1 << 20),
    free_bytes=10,
    total_bytes=20,
    maximal_access=1,
    maximal_access_names=("READ_DATA",),
    server_system_time=NOW,
)


def location(**changed: object) -> LocationFacts:
    values = {"names": NAMES, "ticket": SERVICE, "share": SHARE, "connected": True, "asked": NOW, **changed}
    return LocationFacts(**values)  # type: ignore[arg-type]  # tests name what they change
