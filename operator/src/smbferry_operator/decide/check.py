"""When the check of an identity or a location is due, and what its conditions say in the meantime.

A verdict stays until the next one: a repeated check makes nothing Unknown. Annotations of the check's Job say what is
checked, so that an operator needs no memory. One Job checks an identity and many of its locations. For each of them the
check has ended once its status is written, whatever the others still wait for.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from smbferry_api.conditions import LOCATION_CHECKS, Condition, ConditionType, find, that_can_block
from smbferry_api.fields import format_time
from smbferry_api.identity import AccountUse
from smbferry_api.names import ANNOTATION_REQUESTED_AT
from smbferry_api.reasons import (
    AGENT_LOST,
    AGENT_NOT_SCHEDULED,
    AGENT_SUSPENDED,
    CHECKING,
    CHECKS_PASSED,
    IDENTITY_NOT_FOUND,
    IDENTITY_NOT_READY,
    KEYTAB_AGING,
    SPEC_INVALID,
)
from smbferry_api.rechecks import recheck_after
from smbferry_operator.decide.agent_end import last_ended, lost_message, termination
from smbferry_operator.decide.agent_start import stuck
from smbferry_operator.decide.decision import Decision, OwnedStatus
from smbferry_operator.decide.naming import ANNOTATION_CHECK_EPOCH, ANNOTATION_CHECK_INPUTS, ANNOTATION_LAST_CHECK
from smbferry_operator.decide.owned import CheckFields
from smbferry_operator.decide.status import SUMMARY_TYPES, Summary, changed, failure_of, is_permanent, transition_event
from smbferry_operator.decide.text import sentence
from smbferry_operator.model import Carried, Identity, Job, Location, Pod, Refusal

RECHECK_FAILED: Final = timedelta(minutes=1)
REPORT_GRACE: Final = timedelta(seconds=5)  # Job and status come by separate watches
STUCK_PATIENCE: Final = timedelta(seconds=60)
POLL: Final = timedelta(seconds=15)
BUSY: Final = timedelta(seconds=5)
WITHOUT_REPORT: Final = frozenset(
    r.name
    for r in (IDENTITY_NOT_FOUND, IDENTITY_NOT_READY, AGENT_LOST, AGENT_NOT_SCHEDULED, AGENT_SUSPENDED, SPEC_INVALID)
)


@dataclass(frozen=True, slots=True)
class Subject:
    """An object that is checked, with its latest verdict."""

    resource: Identity | Location
    checks: tuple[ConditionType, ...]
    inputs: str
    """The generations that are to be checked."""
    judged_inputs: str | None
    """The generations that the agent's conditions are about; None before the first check."""
    epoch: str = ""
    """Of a location: when its identity became Ready."""
    request: str = ""
    """The value of the annotation by which a person requested the check, if any."""
    handled_request: str | None = None
    """The last request of a person that was handled."""
    account: AccountUse | None = None
    """Of an identity: what other identities of its account mean for its key."""

    @property
    def distrusted(self) -> bool:
        """Whether Ready was set without a report of the agent; only another check may replace it then."""
        ready = find(self.resource.status.conditions, ConditionType.READY)
        return ready is None or ready.status == "Unknown" or ready.reason in WITHOUT_REPORT


@dataclass(frozen=True, slots=True)
class Checks:
    """The Jobs and pods of a subject's checks."""

    jobs: tuple[Job, ...]
    pods: tuple[Pod, ...]
    doubted_at: datetime | None
    refusal: Refusal | None
    awaited: bool = False
    """Runs wait for a check before they use the key."""
    outdated: bool = False
    """The Secret or the ConfigMap has changed since the last check."""

    @property
    def active(self) -> Job | None:
        """The running check; its Job may be in deletion."""
        return max((j for j in self.jobs if not j.finished), key=_created, default=None)

    @property
    def last(self) -> Job | None:
        """The newest check that has ended."""
        return max((j for j in self.jobs if j.finished), key=_created, default=None)


def _created(job: Job) -> datetime:
    return job.meta.created


def check_inputs(resource: Identity | Location, identity: Identity | None = None) -> str:
    """The generations that a verdict is about, such as 3 or 3.1."""
    return f"{resource.meta.generation}" + (f".{identity.meta.generation}" if identity else "")


def judged_generation(conditions: tuple[Condition, ...], checks: tuple[ConditionType, ...]) -> int | None:
    """The oldest generation that the agent's conditions are about, None before the first check."""
    return min((c.observed_generation for c in conditions if c.type in checks), default=None)


@dataclass(frozen=True, slots=True)
class Judged:
    """What is said about an object, and when its next check is due."""

    decision: Decision
    due_in: timedelta | None = None
    """Until the next check, 0 or less if it is due; None if none may begin now, for example while one is under way."""
    follows: str = ""
    """The last Job, if it ended without a report."""

    @property
    def is_due(self) -> bool:
        """Whether a check is to begin now."""
        return self.due_in is not None and self.due_in <= timedelta(0)


def judge(subject: Subject, checks: Checks, now: datetime) -> Judged:
    """Waits for a check, or summarizes its result and says when the next one is due."""
    checks = replace(checks, jobs=tuple(_as_seen_from(subject.resource, job) for job in checks.jobs))
    subject = replace(subject, handled_request=_handled_request(subject.resource, checks))
    if checks.refusal is not None:
        return Judged(_refused(subject, checks.refusal, now))
    active = checks.active
    if active is not None and (active.meta.deleting or is_about(active, subject.inputs)):
        return Judged(_under_way(subject, checks, active, now))
    if active is not None:
        return Judged(_decision(subject, _keep(subject, now), now, requeue_after=BUSY), timedelta(0))
    lost = _lost(subject, checks)
    if lost is not None and now - _ended(lost) < REPORT_GRACE:
        return Judged(Decision(requeue_after=timedelta(seconds=1)))
    conditions = _lost_verdict(subject, checks, lost, now) if lost else _verdict(subject, checks, now)
    delay = _lost_due_in(subject, lost, now) if lost else _due_in(subject, checks, conditions, now)
    decision = _decision(subject, conditions, now, requeue_after=delay)
    return Judged(decision, delay, lost.meta.name if lost else "")


def _as_seen_from(resource: Identity | Location, job: Job) -> Job:
    """The Job as it concerns this object: it has ended once the object's status is written."""
    return replace(job, complete=True) if not job.finished and is_reported(resource, job) else job


def as_carried(job: Job, carried: Carried) -> Job:
    """The Job as it concerns one of the locations that it carries."""
    about = {
        ANNOTATION_CHECK_INPUTS: carried.inputs,
        ANNOTATION_CHECK_EPOCH: carried.epoch,
        ANNOTATION_LAST_CHECK: carried.last_check,
        **({ANNOTATION_REQUESTED_AT: carried.request} if carried.request else {}),
    }
    return replace(job, meta=replace(job.meta, annotations=about))


def checks_identity(job: Job) -> bool:
    """Whether the Job checks the identity itself, not only locations."""
    return ANNOTATION_CHECK_INPUTS in job.meta.annotations


def last_check_text(resource: Identity | Location) -> str:
    """status.lastCheckTime as text, empty before the first check."""
    moment = resource.status.last_check_time
    return format_time(moment) if moment else ""


def is_reported(resource: Identity | Location, job: Job) -> bool:
    """Whether the agent has written a status since the Job was created. No clocks are compared."""
    return job.meta.annotations.get(ANNOTATION_LAST_CHECK, "") != last_check_text(resource)


def is_about(job: Job, inputs: str) -> bool:
    """Whether the Job's verdict is about these generations."""
    return job.meta.annotations.get(ANNOTATION_CHECK_INPUTS) == inputs


def _ended(job: Job) -> datetime:
    return job.finished_at or job.meta.created


def _lost(subject: Subject, checks: Checks) -> Job | None:
    """The last check if it ended without a report, else None."""
    last = checks.last
    return last if last is not None and not is_reported(subject.resource, last) else None


def _is_current(subject: Subject, checks: Checks) -> bool:
    """Whether the agent's conditions are about the newest specs, and newer than the identity's recovery."""
    if subject.judged_inputs != subject.inputs:
        return False
    if not subject.distrusted:
        return True
    last = checks.last
    return (
        last is not None
        and is_reported(subject.resource, last)
        and is_about(last, subject.inputs)
        and last.meta.annotations.get(ANNOTATION_CHECK_EPOCH, "") == subject.epoch
    )


def _verdict(subject: Subject, checks: Checks, now: datetime) -> tuple[Condition, ...]:
    existing = subject.resource.status.conditions
    if not _is_current(subject, checks):
        return _keep(subject, now)
    summary = Summary(subject.resource.meta, existing, now)
    culprit = first_unhealthy(existing, subject.checks)
    if culprit is None:
        summary.add(ConditionType.READY, "True", CHECKS_PASSED, " ".join((CHECKS_PASSED.when, *_warnings(existing))))
    else:
        summary.add_copy(ConditionType.READY, "False", culprit)
        if is_permanent(failure_of(culprit.reason)):
            summary.add_copy(ConditionType.STALLED, "True", culprit)
    return summary.done()


def _warnings(conditions: Iterable[Condition]) -> Iterable[str]:
    """Warnings beside Ready: another key version, or an aging keytab."""
    for found in conditions:
        if found.reason == KEYTAB_AGING.name or (found.type == ConditionType.KVNO_MISMATCH and not found.healthy):
            yield found.message


def first_unhealthy(conditions: Iterable[Condition], checks: Iterable[ConditionType]) -> Condition | None:
    """The condition that explains why an object is not Ready; None if all checks passed.

    It is the first unhealthy check, in the order in which checks depend on each other. A check that was made precedes
    one that was not.
    """
    found = [c for type_ in checks if (c := find(conditions, type_)) is not None]
    unhealthy = [c for c in that_can_block(found) if not c.healthy]
    certain = [c for c in unhealthy if c.status != "Unknown"]
    return next(iter(certain or unhealthy), None)


def _keep(subject: Subject, now: datetime) -> tuple[Condition, ...]:
    """The previous verdict, or Unknown, until the next check."""
    existing = subject.resource.status.conditions
    summary = Summary(subject.resource.meta, existing, now)
    ready = find(existing, ConditionType.READY)
    if ready is None:
        summary.add(ConditionType.READY, "Unknown", CHECKING)
    else:
        summary.keep(ready)
        stalled = find(existing, ConditionType.STALLED)
        if stalled is not None and ready.observed_generation >= subject.resource.meta.generation:
            summary.keep(stalled)
    _add_reconciling(subject, summary)
    return summary.done()


def _add_reconciling(subject: Subject, summary: Summary) -> None:
    """Adds Reconciling until the newest specs have been checked. A repeated check is not reconciling."""
    if subject.judged_inputs != subject.inputs or subject.distrusted:
        summary.add(ConditionType.RECONCILING, "True", CHECKING)


def _under_way(subject: Subject, checks: Checks, job: Job, now: datetime) -> Decision:
    current = _is_current(subject, checks)
    ready = find(subject.resource.status.conditions, ConditionType.READY)
    obstacle = stuck(job, checks.pods, now, patience=STUCK_PATIENCE / 2)
    usable = current and ready is not None and ready.status == "True"
    # A queue that holds a repeated check back says nothing about what the last one found.
    patient = obstacle is not None and (obstacle.reason is AGENT_SUSPENDED or now - obstacle.since < STUCK_PATIENCE)
    if obstacle and not (usable and patient):
        summary = Summary(subject.resource.meta, subject.resource.status.conditions, now)
        summary.add(ConditionType.READY, "False", obstacle.reason, obstacle.message)
        _add_reconciling(subject, summary)
        return _decision(subject, summary.done(), now, requeue_after=POLL)
    conditions = _verdict(subject, checks, now) if current else _keep(subject, now)
    return _decision(subject, conditions, now, requeue_after=POLL)


def _lost_verdict(subject: Subject, checks: Checks, lost: Job, now: datetime) -> tuple[Condition, ...]:
    """The verdict for an agent that ended without a report, or could not start."""
    existing = subject.resource.status.conditions
    summary = Summary(subject.resource.meta, existing, now)
    ready = find(existing, ConditionType.READY)
    if lost.failure_reason == "DeadlineExceeded" and ready and ready.reason == AGENT_NOT_SCHEDULED.name:
        summary.keep(ready)  # the pod that said why no longer exists
    elif left := termination(last_ended(lost, checks.pods)):
        summary.add(ConditionType.READY, "False", AGENT_LOST, f"{left.reason}: {left.message} {left.remedy}".strip())
    else:
        summary.add(ConditionType.READY, "False", AGENT_LOST, lost_message(lost, checks.pods))
    _add_reconciling(subject, summary)
    return summary.done()


def _lost_due_in(subject: Subject, lost: Job, now: datetime) -> timedelta:
    if not is_about(lost, subject.inputs):
        return timedelta(0)
    return _ended(lost) + _recheck_after(subject, now) - now


def _due_in(subject: Subject, checks: Checks, conditions: Iterable[Condition], now: datetime) -> timedelta:
    """Time until the next check, 0 or less if it is due."""
    due_now = timedelta(0)
    status = subject.resource.status
    if not _is_current(subject, checks) or checks.outdated:
        return due_now
    if _is_requested(subject) or _is_doubted(subject, checks):
        return due_now
    scheduled = status.next_check_time - now if status.next_check_time else due_now
    ready = find(conditions, ConditionType.READY)
    if ready is not None and ready.status == "True":
        return due_now if checks.awaited else scheduled
    ended = _ended(checks.last) if checks.last else status.last_check_time
    return min(scheduled, ended + _recheck_after(subject, now) - now) if ended else due_now


def _recheck_after(subject: Subject, now: datetime) -> timedelta:
    """The time from a failed check to the next one. Many locations may fail for days; identities are few."""
    ready = find(subject.resource.status.conditions, ConditionType.READY)
    if subject.checks is not LOCATION_CHECKS or ready is None or ready.status != "False":
        return RECHECK_FAILED
    return recheck_after(now - ready.last_transition_time)


def _is_requested(subject: Subject) -> bool:
    """Whether a person has requested a check that was not handled."""
    return subject.request not in {"", subject.handled_request}


def _is_doubted(subject: Subject, checks: Checks) -> bool:
    """Whether a run has failed since the last check in a way that a check would detect."""
    looked_at = checks.last.meta.created if checks.last else subject.resource.status.last_check_time
    return checks.doubted_at is not None and (looked_at is None or looked_at < checks.doubted_at)


def _handled_request(resource: Identity | Location, checks: Checks) -> str | None:
    """The last handled request. A request is handled once its Job has ended, whatever the result."""
    by_last = checks.last.meta.annotations.get(ANNOTATION_REQUESTED_AT) if checks.last else None
    return by_last or resource.status.last_handled_request


def _refused(subject: Subject, refusal: Refusal, now: datetime) -> Decision:
    """The API server refuses the Job: reports it in Ready, and retries as long as the object exists."""
    summary = Summary(subject.resource.meta, subject.resource.status.conditions, now)
    reason = SPEC_INVALID if refusal.permanent else AGENT_NOT_SCHEDULED
    message = f"Kubernetes refused the agent's {refusal.what}: {sentence(refusal.message)}"
    summary.add(ConditionType.READY, "False", reason, message)
    if refusal.permanent:
        summary.add(ConditionType.STALLED, "True", reason, message)
    return _decision(subject, summary.done(), now, requeue_after=refusal.again_in(now))


def _decision(
    subject: Subject, conditions: tuple[Condition, ...], now: datetime, *, requeue_after: timedelta
) -> Decision:
    delay = max(requeue_after, timedelta(seconds=1))
    return summarized(
        subject.resource,
        conditions,
        requeue_after=delay,
        handled_request=subject.handled_request,
        account=subject.account,
    )


def summarized(
    resource: Identity | Location,
    conditions: tuple[Condition, ...],
    *,
    requeue_after: timedelta | None,
    handled_request: str | None = None,
    account: AccountUse | None = None,
) -> Decision:
    """A Decision that writes these conditions if they have changed, with an Event if Ready has."""
    ready = find(conditions, ConditionType.READY)
    fields = CheckFields(
        last_handled_request=handled_request or resource.status.last_handled_request,
        observed_generation=ready.observed_generation if ready and ready.status != "Unknown" else None,
        account=account,
    )
    status = OwnedStatus(conditions, fields.as_wire())
    before = resource.status.conditions
    return Decision(
        status=status if changed(resource.status, before, status, SUMMARY_TYPES) else None,
        events=tuple(transition_event(before, conditions, ConditionType.READY)),
        requeue_after=requeue_after,
    )
