"""One transfer of a resolved task: preflight of both sides, tickets, engine, report. Independent of Kubernetes."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from smbferry_agent.approval import Permission, permission
from smbferry_agent.engine_errors import convert
from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.enctypes import name_of
from smbferry_agent.kerberos.error_codes import ErrorCode
from smbferry_agent.kerberos.facts import Ticket
from smbferry_agent.kerberos.keytab import Keytab
from smbferry_agent.kerberos.libkrb5 import KerberosError
from smbferry_agent.kerberos.renewal import Renewal
from smbferry_agent.logs import fields
from smbferry_agent.preflight.claim import check_claim
from smbferry_agent.preflight.findings import Finding, first_failure
from smbferry_agent.preflight.identity_probe import IdentitySubject, checked_identity
from smbferry_agent.preflight.key_turn import KeyTurn, Tried
from smbferry_agent.preflight.location_facts import LocationFacts
from smbferry_agent.preflight.location_judge import judge_location
from smbferry_agent.preflight.location_probe import endpoint
from smbferry_agent.preflight.lockout import outdated_key
from smbferry_agent.preflight.server_names import locator, look_up_server
from smbferry_agent.report.delivery import Delivery
from smbferry_agent.report.run_report import RunReport
from smbferry_agent.report.shards import piece_as_told
from smbferry_agent.resolve import Resolver
from smbferry_agent.run_environment import RunEnvironment
from smbferry_agent.source_snapshot import in_snapshot
from smbferry_api.agent_contract import Side
from smbferry_api.exit_codes import ExitCode
from smbferry_api.fields import parse_duration, parse_quantity
from smbferry_api.identity import KerberosIdentityStatus, KeyRefusal
from smbferry_api.reasons import INTERNAL_ERROR, KEYTAB_STALE, RUN_CANCELLED
from smbferry_api.run import ResolvedEnd, ResolvedTask
from smbferry_api.run_status import RunState
from smbferry_api.task_options import Filters
from smbferry_engine import (
    Endpoint,
    EngineError,
    Links,
    Options,
    Politeness,
    RetryLocked,
    Selection,
    SidMap,
    resolve_dfs,
    to_filetime,
    transfer,
    units_of,
)
from smbferry_words.run import PhaseName, PhaseState

T = TypeVar("T")

_log = logging.getLogger(__name__)


def run_transfer(task: ResolvedTask, environment: RunEnvironment, report: RunReport, *, dry_run: bool) -> ExitCode:
    """Checks both sides and transfers.

    Raises:
        AgentError: the run failed as a whole or was cancelled; the report contains the failure, too.
    """
    report.dry_run = dry_run

    def work(source: Endpoint, destination: Endpoint, sid_map: SidMap) -> Permission:
        options = engine_options(task, sid_map, dry_run=dry_run, started=environment.started)
        may = permission(task, environment, report, (source, destination), options)
        if may.waits:
            return may
        try:
            transfer(source, destination, options, report, approved=may.approved, control=environment.control)
        finally:
            tell_partial_files(environment, report)
        return may

    tell_partial_files(environment, report)
    may = between(task, environment, report, work, records=environment.run_name)
    return ExitCode.AWAITS_APPROVAL if may.waits else exit_code(report)


def tell_partial_files(environment: RunEnvironment, report: RunReport) -> None:
    """Reports large files that are begun; before the engine knows more those of the earlier agent, as this one may be
    killed.
    """
    if (handover := environment.control.handover) is not None:
        report.partial_files(piece_as_told(piece) for piece in handover.pieces)


def exit_code(report: RunReport) -> ExitCode:
    """The exit code of a run that was not stopped."""
    return ExitCode.DONE if report.outcome() is RunState.SUCCEEDED else ExitCode.DONE_WITH_FAILURES


def between(
    task: ResolvedTask,
    environment: RunEnvironment,
    report: RunReport,
    work: Callable[[Endpoint, Endpoint, SidMap], T],
    *,
    records: str | None = None,
) -> T:
    """Checks the SID map, source and destination, calls `work` with them and returns its result.

    Args:
        records: the name under which per-file records are delivered, if the task wants them.

    Raises:
        AgentError: it failed as a whole or was cancelled; the report contains the failure, too.
    """
    sides = (Side.SOURCE, Side.DESTINATION)
    return with_sides(
        task, environment, report, sides, lambda ends, sid_map: work(ends[0], ends[1], sid_map), records=records
    )


def with_sides(
    task: ResolvedTask,
    environment: RunEnvironment,
    report: RunReport,
    sides: Sequence[Side],
    work: Callable[[Sequence[Endpoint], SidMap], T],
    *,
    records: str | None = None,
) -> T:
    """Does the same with the given sides only, the source first."""
    try:
        with ExitStack() as stack:
            report.phase(PhaseName.PREFLIGHT, PhaseState.RUNNING)
            sid_map = environment.sid_map.read(task.options.sid_map)
            of_task = {Side.SOURCE: task.source, Side.DESTINATION: task.destination}
            ends = [_prepare(side, of_task[side], environment, report, stack) for side in sides]
            ends[0] = in_snapshot(ends[0], task.source_snapshot, environment.snapshots, report)
            delivery = _delivery(task, environment, report, stack, records) if records else nullcontext()
            report.phase(PhaseName.PREFLIGHT, PhaseState.SUCCEEDED)
            _expect_wanted(environment)
            with delivery:
                return work(ends, sid_map)
    except EngineError as error:
        failure = convert(error)
        _tell(failure, environment, report)
        raise failure from error
    except AgentError as error:
        _tell(error, environment, report)
        raise
    except Exception as error:
        report.failed(AgentError(INTERNAL_ERROR, f"{type(error).__name__} in smbferry-agent."))
        raise
    finally:
        report.end()


def _expect_wanted(environment: RunEnvironment) -> None:
    """Nothing is sent to a server once the run was stopped or its window has ended."""
    if environment.control.cancelled():
        raise AgentError(RUN_CANCELLED, "The run was stopped before it moved data.")


def _tell(error: AgentError, environment: RunEnvironment, report: RunReport) -> None:
    if error.reason is RUN_CANCELLED and environment.paused():
        report.paused()
    else:
        report.failed(error)


def _delivery(
    task: ResolvedTask, environment: RunEnvironment, report: RunReport, stack: ExitStack, name: str
) -> AbstractContextManager[object]:
    """The context that stores and delivers records; a null context if the task wants none."""
    if task.report_to is None:
        return nullcontext()
    control = environment.control
    return Delivery(
        task=task,
        run_name=name,
        end=task.report_to,
        endpoint=_prepare(Side.REPORT, task.report_to, environment, report, stack),
        spool=environment.spool,
        report=report,
        # A report is written to its end, even if a window ends meanwhile.
        control=replace(control, cancelled=lambda: control.cancelled() and not environment.paused()),
    )


def engine_options(
    task: ResolvedTask, sid_map: SidMap, *, dry_run: bool, started: datetime, agents: int = 1
) -> Options:
    """The task's options and filters, as the engine's options; ages are counted back from `started`.

    Args:
        agents: how many agents of the run work at the same time.
    """
    wanted = task.options
    return Options(
        transfer_mode=wanted.transfer_mode,
        compare_by=wanted.compare_by,
        overwrite_mode=wanted.overwrite_mode,
        deleted_files=wanted.deleted_files,
        max_deletes=wanted.max_deletes,
        verify_mode=wanted.verify_mode,
        security_descriptors=wanted.security_descriptors,
        timestamps=wanted.timestamps,
        attributes=wanted.attributes,
        sid_map=sid_map,
        streams=wanted.streams,
        extended_attributes=wanted.extended_attributes,
        links=wanted.links or Links(wanted.symlinks),
        hard_links=wanted.hard_links,
        system_folders=wanted.system_folders,
        modify_window=units_of(parse_duration(wanted.modify_window)),
        server_side_copy=wanted.server_side_copy,
        durability=wanted.durability,
        retry_locked=RetryLocked(
            wanted.retry_locked.attempts, parse_duration(wanted.retry_locked.interval).total_seconds()
        ),
        bytes_per_second=task.rate,
        politeness=None if wanted.politeness is None else Politeness(float(wanted.politeness.latency_factor), agents),
        include=task.filters.include,
        exclude=task.filters.exclude,
        selection=_selection(task.filters, to_filetime(started)),
        dry_run=dry_run,
        unconfirmed="" if dry_run or _is_approved(task) else task.unconfirmed or "",
    )


def _is_approved(task: ResolvedTask) -> bool:
    """Whether a person has approved the plan of this run, and so confirmed the mirror."""
    return task.approval is not None and bool(task.approval.plan)


def _selection(filters: Filters, started: int) -> Selection:
    """The filters by size, age and attribute; `started` is a FILETIME."""

    def size(quantity: str | int | None) -> int | None:
        return None if quantity is None else parse_quantity(quantity)

    def before(age: str | None) -> int | None:
        return None if age is None else started - units_of(parse_duration(age))

    return Selection(
        min_size=size(filters.min_size),
        max_size=size(filters.max_size),
        written_from=before(filters.max_age),
        written_until=before(filters.min_age),
        without=filters.exclude_attributes,
    )


def _prepare(
    side: Side, end: ResolvedEnd, environment: RunEnvironment, report: RunReport, stack: ExitStack
) -> Endpoint:
    """Gets and checks one side's tickets and names. Tickets are renewed until the stack is closed."""
    identities = environment.identities
    subject = IdentitySubject(
        spec=end.identity.spec,
        generation=end.identity.generation,
        mount=identities.mounts[side],
        scratch=identities.scratch / side.value,
        previous=identities.statuses.get(end.identity.name),
        address_rule=identities.address_rule,
        turn=identities.turn(end.identity.name),
    )
    checked = stack.enter_context(checked_identity(subject, datetime.now(UTC)))
    _raise_first(side, checked.findings)
    account, keytab = checked.facts.account, checked.facts.keytab
    if checked.session is None or account is None or account.ticket is None:
        raise AssertionError("an identity without a finding against it has a ticket")
    resolver = Resolver(end.spec.nameservers)
    names = look_up_server(resolver, end.spec.server, address_rule=identities.address_rule)
    ticket = checked.session.service_ticket(end.spec.target)
    _raise_first(side, judge_location(end.spec, LocationFacts(names, ticket=ticket)))
    named = endpoint(end.spec, end.full_path, names.addresses, checked.session)
    found = resolve_dfs(named, locator(resolver, checked.session, identities.address_rule))
    if side is Side.DESTINATION and environment.claimed:
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
    objection = _objection(end, keytab, account.tries[-1].account_kvno, identities.status_now)
    turn = partial(_in_turn, subject.turn, end, keytab, account.tries[-1].kvno)
    stack.enter_context(Renewal(checked.session, account.ticket, target, objection, turn))
    _log.info("side is ready", extra=fields(side=side.value, server=found.server, addresses=found.addresses))
    return found


def _objection(
    end: ResolvedEnd,
    keytab: Keytab | AgentError,
    kvno: int | None,
    status_now: Callable[[str], KerberosIdentityStatus | None],
) -> Callable[[], str | None]:
    """Returns a function that says why the key of the start must not be used again, None if it may."""
    identity = end.identity

    def object_() -> str | None:
        if isinstance(keytab, AgentError):
            return keytab.message
        status = status_now(identity.name)
        return outdated_key(identity.spec, identity.generation, keytab, status, kvno=kvno, now=datetime.now(UTC))

    return object_


@contextmanager
def _in_turn(turn: KeyTurn, end: ResolvedEnd, keytab: Keytab | AgentError, kvno: int) -> Iterator[None]:
    """The context of using the key during the run; a refused key is recorded for other agents."""
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
                message=f"The KDC refused the key of {end.identity.spec.principal} when tickets were renewed.",
            )
            tried = Tried(refused, wrong=1)
        raise
    finally:
        turn.end(tried)


def _raise_first(side: Side, findings: Iterable[Finding]) -> None:
    if failure := first_failure(findings):
        raise AgentError(failure.reason, f"{side.value.capitalize()}: {failure.message}")
