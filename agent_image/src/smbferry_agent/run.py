"""One transfer from a resolved task: preflight of both sides, tickets, engine, report. No Kubernetes in here."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from smbferry_agent.engine_errors import convert
from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.addresses import AddressRule, forbidden
from smbferry_agent.kerberos.enctypes import name_of
from smbferry_agent.kerberos.error_codes import ErrorCode
from smbferry_agent.kerberos.facts import Ticket
from smbferry_agent.kerberos.keytab import Keytab
from smbferry_agent.kerberos.libkrb5 import KerberosError
from smbferry_agent.kerberos.renewal import Renewal
from smbferry_agent.logs import fields
from smbferry_agent.mounts import IdentityMount
from smbferry_agent.preflight.claim import check_claim
from smbferry_agent.preflight.findings import Finding, first_failure
from smbferry_agent.preflight.identity_probe import IdentitySubject, checked_identity
from smbferry_agent.preflight.key_turn import KeyTurn, NoTurn, Tried
from smbferry_agent.preflight.location_facts import LocationFacts
from smbferry_agent.preflight.location_judge import judge_location
from smbferry_agent.preflight.location_probe import endpoint
from smbferry_agent.preflight.lockout import outdated_key
from smbferry_agent.preflight.server_names import locator, look_up_server
from smbferry_agent.report.delivery import Delivery
from smbferry_agent.report.run_report import RunReport
from smbferry_agent.resolve import Resolver
from smbferry_api.agent_contract import SPOOL_DIR, Side
from smbferry_api.exit_codes import ExitCode
from smbferry_api.fields import parse_duration, parse_quantity
from smbferry_api.identity import KerberosIdentityStatus, KeyRefusal
from smbferry_api.reasons import INTERNAL_ERROR, KEYTAB_STALE
from smbferry_api.run import ResolvedEnd, ResolvedTask
from smbferry_api.run_status import PhaseName, PhaseState, RunState
from smbferry_engine import (
    CompareBy,
    DeletedFiles,
    Durability,
    Endpoint,
    EngineError,
    Options,
    OverwriteMode,
    Preservation,
    SecurityDescriptors,
    ServerSideCopy,
    Symlinks,
    SystemFolders,
    TransferMode,
    VerifyMode,
    resolve_dfs,
    transfer,
    units_of,
)

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a run finds its files, and when it must stop.

    Attributes:
        abandoned: asked where the run must stop: whether nobody goes on with it, so that nothing half-done is of use.
        may_replace: asked before anything at the destination is deleted or replaced; while it is false that waits.
        claimed: the run was let in as the only writer of the folder that its destination led to when it was checked.
        bytes_per_second: the limit as it stands at the moment, where it may change; else the task's own holds.
        standing: what is known of the identities, by name: a key that the KDC refused is not tried again.
        standing_now: looks again during the run, before tickets are renewed by a key.
        turn: by identity, what is waited for before its key is tried.
        run_name: what the files of a report are called by.
        spool: where the records of a report are kept until they are delivered.
    """

    mounts: Mapping[Side, IdentityMount]
    scratch: Path
    cancelled: Callable[[], bool]
    abandoned: Callable[[], bool] = lambda: True
    may_replace: Callable[[], bool] = lambda: True
    claimed: bool = False
    bytes_per_second: Callable[[], int | None] | None = None
    address_rule: AddressRule = forbidden
    standing: Mapping[str, KerberosIdentityStatus] = field(default_factory=dict)
    standing_now: Callable[[str], KerberosIdentityStatus | None] = lambda _name: None
    turn: Callable[[str], KeyTurn] = lambda _name: NoTurn()
    run_name: str = "run"
    spool: Path = Path(SPOOL_DIR)


def run_transfer(task: ResolvedTask, surroundings: Surroundings, report: RunReport, *, dry_run: bool) -> ExitCode:
    """Checks both sides and transfers; the report has the failure, too, when this raises.

    Raises:
        AgentError: the run as a whole failed or was cancelled; nothing half-done stays behind.
    """
    report.dry_run = dry_run
    between(
        task,
        surroundings,
        report,
        lambda source, destination: transfer(
            source,
            destination,
            engine_options(task, dry_run=dry_run),
            report,
            cancelled=surroundings.cancelled,
            abandoned=surroundings.abandoned,
            may_replace=surroundings.may_replace,
            bytes_per_second=surroundings.bytes_per_second,
        ),
        records=surroundings.run_name,
    )
    return exit_code(report)


def exit_code(report: RunReport) -> ExitCode:
    """Of a run that nothing stopped."""
    return ExitCode.DONE if report.outcome() is RunState.SUCCEEDED else ExitCode.DONE_WITH_FAILURES


def between(
    task: ResolvedTask,
    surroundings: Surroundings,
    report: RunReport,
    work: Callable[[Endpoint, Endpoint], T],
    *,
    records: str | None = None,
) -> T:
    """Checks source and destination, does `work` between them and returns what it returns; the report has its failure.

    Args:
        records: the name under which records of single files are delivered, where the task wants them.

    Raises:
        AgentError: as a whole it failed or was cancelled.
    """
    try:
        with ExitStack() as stack:
            report.phase(PhaseName.PREFLIGHT, PhaseState.RUNNING)
            source = _prepare(Side.SOURCE, task.source, surroundings, report, stack)
            destination = _prepare(Side.DESTINATION, task.destination, surroundings, report, stack)
            delivery = _delivery(task, surroundings, report, stack, records) if records else nullcontext()
            report.phase(PhaseName.PREFLIGHT, PhaseState.SUCCEEDED)
            with delivery:
                return work(source, destination)
    except EngineError as error:
        failure = convert(error)
        report.failed(failure)
        raise failure from error
    except AgentError as error:
        report.failed(error)
        raise
    except Exception as error:
        report.failed(AgentError(INTERNAL_ERROR, f"{type(error).__name__} in smbferry-agent."))
        raise
    finally:
        report.end()


def _delivery(
    task: ResolvedTask, around: Surroundings, report: RunReport, stack: ExitStack, name: str
) -> AbstractContextManager[object]:
    """What keeps records and delivers them; nothing where the task wants none."""
    if task.report_to is None:
        return nullcontext()
    return Delivery(
        task=task,
        run_name=name,
        end=task.report_to,
        endpoint=_prepare(Side.REPORT, task.report_to, around, report, stack),
        spool=around.spool,
        report=report,
        cancelled=around.cancelled,
    )


def engine_options(task: ResolvedTask, *, dry_run: bool) -> Options:
    """The task's options and filters as the engine takes them."""
    wanted = task.options
    return Options(
        transfer_mode=TransferMode(wanted.transfer_mode),
        compare_by=CompareBy(wanted.compare_by),
        overwrite_mode=OverwriteMode(wanted.overwrite_mode),
        deleted_files=DeletedFiles(wanted.deleted_files),
        max_deletes=wanted.max_deletes,
        verify_mode=VerifyMode(wanted.verify_mode),
        security_descriptors=SecurityDescriptors(wanted.security_descriptors),
        timestamps=Preservation(wanted.timestamps),
        attributes=Preservation(wanted.attributes),
        symlinks=Symlinks(wanted.symlinks),
        system_folders=SystemFolders(wanted.system_folders),
        modify_window=units_of(parse_duration(wanted.modify_window)),
        server_side_copy=ServerSideCopy(wanted.server_side_copy),
        durability=Durability(wanted.durability),
        bytes_per_second=None if wanted.bytes_per_second is None else parse_quantity(wanted.bytes_per_second),
        include=task.filters.include,
        exclude=task.filters.exclude,
        dry_run=dry_run,
        unconfirmed="" if dry_run else task.unconfirmed or "",
    )


def _prepare(side: Side, end: ResolvedEnd, around: Surroundings, report: RunReport, stack: ExitStack) -> Endpoint:
    """One side's tickets and names, judged; its tickets live and are renewed until the stack is left."""
    subject = IdentitySubject(
        spec=end.identity.spec,
        generation=end.identity.generation,
        mount=around.mounts[side],
        scratch=around.scratch / side.value,
        previous=around.standing.get(end.identity.name),
        address_rule=around.address_rule,
        turn=around.turn(end.identity.name),
    )
    checked = stack.enter_context(checked_identity(subject, datetime.now(UTC)))
    _raise_first(side, checked.findings)
    account, keytab = checked.facts.account, checked.facts.keytab
    if checked.session is None or account is None or account.ticket is None:
        raise AssertionError("an identity without a finding against it has a ticket")
    resolver = Resolver(end.spec.nameservers)
    names = look_up_server(resolver, end.spec.server, address_rule=around.address_rule)
    ticket = checked.session.service_ticket(end.spec.target)
    _raise_first(side, judge_location(end.spec, LocationFacts(names, ticket=ticket)))
    named = endpoint(end.spec, end.full_path, names.addresses, checked.session)
    found = resolve_dfs(named, locator(resolver, checked.session, around.address_rule))
    if side is Side.DESTINATION and around.claimed:
        check_claim(end.place, found)
    target = end.spec.target
    if found is not named:
        target = found.service_principal
        ticket = checked.session.service_ticket(target)
    report.tickets(
        side.value,
        principal=end.identity.spec.principal,
        kvno=account.tries[-1].account_kvno or account.tries[-1].kvno,
        ticket_enctype=name_of(ticket.enctype) if isinstance(ticket, Ticket) else None,
        keytab_fingerprint=keytab.fingerprint if isinstance(keytab, Keytab) else None,
    )
    objection = _objection(end, keytab, account.tries[-1].account_kvno, around)
    turn = partial(_in_turn, subject.turn, end, keytab, account.tries[-1].kvno)
    stack.enter_context(Renewal(checked.session, account.ticket, target, objection, turn))
    _log.info("side is ready", extra=fields(side=side.value, server=found.server, addresses=found.addresses))
    return found


def _objection(
    end: ResolvedEnd, keytab: Keytab | AgentError, kvno: int | None, around: Surroundings
) -> Callable[[], str | None]:
    """Says whether the key that served at the beginning may be used again."""
    identity = end.identity

    def object_() -> str | None:
        if isinstance(keytab, AgentError):
            return keytab.message
        standing = around.standing_now(identity.name)
        return outdated_key(identity.spec, identity.generation, keytab, standing, kvno=kvno, now=datetime.now(UTC))

    return object_


@contextmanager
def _in_turn(turn: KeyTurn, end: ResolvedEnd, keytab: Keytab | AgentError, kvno: int) -> Iterator[None]:
    """Encloses a use of the key during the run; word is left of one that was refused."""
    tried = None
    turn.begin()
    try:
        yield
        tried = Tried()
    except KerberosError as error:
        if error.code == ErrorCode.PREAUTH_FAILED and isinstance(keytab, Keytab):
            refused = KeyRefusal(
                key_version=kvno,
                fingerprint=keytab.fingerprint,
                generation=end.identity.generation,
                time=datetime.now(UTC),
                reason=KEYTAB_STALE.name,
                message=f"The KDC refused the key of {end.identity.spec.principal} when tickets were to be renewed.",
            )
            tried = Tried(refused, wrong=1)
        raise
    finally:
        turn.end(tried)


def _raise_first(side: Side, findings: Iterable[Finding]) -> None:
    if failure := first_failure(findings):
        raise AgentError(failure.reason, f"{side.value.capitalize()}: {failure.message}")
