"""Findings and statuses as the agent gives them, and a console to print them on."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rich.console import Console

from smbferry_agent.preflight.findings import Finding, bad, conditions, good, ordered
from smbferry_agent.report import words
from smbferry_api.conditions import IDENTITY_CHECKS, LOCATION_CHECKS, ConditionType
from smbferry_api.reasons import (
    CLOCK_IN_SYNC,
    KEYTAB_AGING,
    KEYTAB_AHEAD,
    KEYTAB_STALE,
    KEYTAB_USABLE,
    KVNO_MATCHES,
    REACHABLE,
    RESOLVED,
    REVERSE_RECORD_WRONG,
    SESSION_ENCRYPTED,
    SHARE_NOT_FOUND,
    SHARE_OPENED,
    TICKET_ISSUED,
)
from smbferry_api.run_status import (
    ByteCounters,
    Counters,
    Evidence,
    FileFailure,
    ItemCounters,
    Phase,
    Phases,
    RunState,
    SideEvidence,
    TransferRunStatus,
)
from smbferry_cli.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from smbferry_words.run import PhaseState

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
T = ConditionType
IDENTITY_IS_WELL = (
    good(T.DNS_READY, RESOLVED, "A dc1: 10.0.0.9."),
    good(T.KDC_REACHABLE, REACHABLE, "dc1 answered in 3ms."),
    good(T.TIME_IN_SYNC, CLOCK_IN_SYNC, "+0.001s."),
    good(T.KEYTAB_VALID, KEYTAB_USABLE, "Key version 3."),
    good(T.KVNO_MISMATCH, KVNO_MATCHES, "Version 3."),
    good(T.TICKET_ACQUIRED, TICKET_ISSUED, "Until noon."),
)
STALE = (
    *IDENTITY_IS_WELL[:4],
    bad(T.KVNO_MISMATCH, KEYTAB_STALE, "Refused."),
    bad(T.TICKET_ACQUIRED, KEYTAB_STALE, "Refused."),
)
AHEAD = (*IDENTITY_IS_WELL[:4], bad(T.KVNO_MISMATCH, KEYTAB_AHEAD, "Ahead."), IDENTITY_IS_WELL[5])
AGING = (*IDENTITY_IS_WELL[:3], good(T.KEYTAB_VALID, KEYTAB_AGING, "Old."), *IDENTITY_IS_WELL[4:])
LOCATION_IS_WELL = (
    good(T.DNS_READY, RESOLVED, "A files: 10.0.0.5."),
    good(T.TICKET_ACQUIRED, TICKET_ISSUED, "Until noon."),
    good(T.SERVER_REACHABLE, REACHABLE, "Accepted."),
    good(T.ENCRYPTED, SESSION_ENCRYPTED, "AES-256-GCM."),
    good(T.SHARE_ACCESSIBLE, SHARE_OPENED, "Opened."),
)
REVERSED = (good(T.DNS_READY, REVERSE_RECORD_WRONG, "Names another."), *LOCATION_IS_WELL[1:])
NO_SHARE = (*LOCATION_IS_WELL[:4], bad(T.SHARE_ACCESSIBLE, SHARE_NOT_FOUND, "Expected finance."))


def identity(findings: Iterable[Finding] = IDENTITY_IS_WELL, name: str = "svc-src") -> Verdict:
    return verdict("KerberosIdentity", name, ordered(findings, IDENTITY_CHECKS))


def location(findings: Iterable[Finding] = LOCATION_IS_WELL, name: str = "source") -> Verdict:
    return verdict("SmbLocation", name, ordered(findings, LOCATION_CHECKS))


def verdict(kind: str, name: str, findings: tuple[Finding, ...]) -> Verdict:
    found = conditions(findings, (), generation=0, now=NOW)
    dumped = [c.model_dump(mode="json", by_alias=True) for c in found]
    return Verdict(kind, name, findings, found, {"conditions": dumped})


def ended(state: RunState = RunState.SUCCEEDED, failed: int = 0, listed: int = 0) -> TransferRunStatus:
    side = SideEvidence(
        principal="svc-src@CORP", kvno=3, ticket_enctype="aes256", dialect="3.1.1", cipher="AES-256-GCM", signing="GMAC"
    )
    counters = Counters(
        files=ItemCounters(listed=2003, to_transfer=2003, transferred=2003 - failed, verified=2000, failed=failed),
        directories=ItemCounters(listed=12, to_transfer=12, transferred=12),
        bytes=ByteCounters(to_transfer=512 << 20, transferred=512 << 20, written=512 << 20),
    )
    return TransferRunStatus(
        state=state,
        start_time=NOW,
        completion_time=NOW + timedelta(seconds=10),
        duration="10.0s",
        counters=counters,
        progress=words.progress(counters),
        security=Evidence(source=side, destination=side.model_copy(update={"principal": "svc-dst@CORP"})),
        failures=tuple(FileFailure(path=f"f{i}", phase="Transfer", reason="FileLocked") for i in range(listed)),
    )


def going_on(**states: PhaseState) -> TransferRunStatus:
    return TransferRunStatus(phases=Phases(**{name: Phase(state=state) for name, state in states.items()}))


def rendered(what: RenderableType, width: int) -> list[str]:
    """The lines as they are printed on a terminal without colours."""
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, force_terminal=False)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def console(*, terminal: bool, width: int = 120) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    shown = Console(file=out, width=width, force_terminal=terminal, highlight=False, markup=False, _environ={})
    return shown, out
