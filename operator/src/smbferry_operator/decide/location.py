"""SmbLocation: asks for its check by a Job of its identity, and summarizes the agent's result."""

from dataclasses import replace
from datetime import datetime, timedelta

from smbferry_api.conditions import LOCATION_CHECKS, ConditionType, find
from smbferry_api.fields import format_time, parse_duration
from smbferry_api.names import ANNOTATION_REQUESTED_AT
from smbferry_api.reasons import CHECKING, IDENTITY_NOT_FOUND, IDENTITY_NOT_READY
from smbferry_operator.decide.check import (
    POLL,
    Checks,
    Judged,
    Subject,
    check_inputs,
    judge,
    judged_generation,
    last_check_text,
    summarized,
)
from smbferry_operator.decide.decision import Decision
from smbferry_operator.decide.groups import group_of
from smbferry_operator.decide.observation import LocationObservation
from smbferry_operator.decide.readiness import Readiness, Referent, referent
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.decide.status import Summary
from smbferry_operator.decide.wanted import WantedCheck
from smbferry_operator.model import Carried, Identity, Location


def decide_location(seen: LocationObservation, now: datetime, settings: AgentSettings) -> Decision:
    """What to do about a location."""
    location = seen.location
    if location.meta.deleting:
        return Decision()
    identity = referent(seen.identity)
    if seen.identity is None or identity.state is not Readiness.READY:
        return _without_identity(location, identity, now)
    subject = _subject(location, seen.identity, identity)
    judged = judge(subject, Checks(seen.jobs, seen.pods, seen.doubted_at, seen.refusal), now)
    due_in = seen.refusal.due_at - now if seen.refusal else judged.due_in
    if due_in is None:
        return judged.decision
    wanted = _wanted(seen, seen.identity, _carried(location, subject, judged), now + due_in, settings)
    if due_in > timedelta(0):
        return replace(judged.decision, check=wanted)
    if due_in == timedelta(0):  # not because of its time
        wanted = replace(wanted, since=now)
    return replace(judged.decision, check=wanted, requeue_after=POLL)


def _subject(location: Location, identity: Identity, state: Referent) -> Subject:
    judged = judged_generation(location.status.conditions, LOCATION_CHECKS)
    used = location.status.identity_generation
    return Subject(
        resource=location,
        checks=LOCATION_CHECKS,
        inputs=check_inputs(location, identity),
        judged_inputs=None if judged is None or used is None else f"{judged}.{used}",
        epoch=format_time(state.condition.last_transition_time) if state.condition else "",
        request=location.meta.annotations.get(ANNOTATION_REQUESTED_AT, ""),
    )


def _carried(location: Location, subject: Subject, judged: Judged) -> Carried:
    return Carried(
        name=location.meta.name,
        uid=location.meta.uid,
        inputs=subject.inputs,
        epoch=subject.epoch,
        last_check=last_check_text(location),
        request=subject.request,
        follows=judged.follows,
        port=location.spec.port,
    )


def _wanted(
    seen: LocationObservation, identity: Identity, carried: Carried, due_at: datetime, settings: AgentSettings
) -> WantedCheck:
    location, status = seen.location, seen.location.status
    ready = find(status.conditions, ConditionType.READY)
    # Refused Jobs wait for their time, whoever else starts.
    earlier = timedelta(0) if seen.refusal else parse_duration(location.spec.check_interval) / 2
    return WantedCheck(
        identity=identity.meta.name,
        carried=carried,
        group=group_of(location, identity, settings),
        due_at=due_at,
        joins_from=due_at - earlier,
        failing=ready is not None and ready.status == "False",
    )


def _without_identity(location: Location, identity: Referent, now: datetime) -> Decision:
    """Reports the identity's state and starts no check: with an unusable identity it would fail for the same reason."""
    name = location.spec.identity_ref.name
    summary = Summary(location.meta, location.status.conditions, now)
    ready = find(location.status.conditions, ConditionType.READY)
    if identity.state is Readiness.MISSING:
        message = f"There is no KerberosIdentity {name} in this namespace."
        summary.add(ConditionType.READY, "False", IDENTITY_NOT_FOUND, message)
        summary.add(ConditionType.RECONCILING, "True", IDENTITY_NOT_FOUND, message)
    elif identity.state is Readiness.NOT_READY:
        message = f"KerberosIdentity {name} is not Ready: {identity.message}"
        summary.add_verbatim(ConditionType.READY, "False", IDENTITY_NOT_READY.name, message)
        if identity.stalled:
            summary.add_verbatim(ConditionType.STALLED, "True", IDENTITY_NOT_READY.name, message)
    else:
        waits = f"Waiting for the check of KerberosIdentity {name}."
        if ready is None or ready.status == "Unknown" or ready.reason == IDENTITY_NOT_FOUND.name:
            summary.add(ConditionType.READY, "Unknown", CHECKING, waits)
        else:
            summary.keep(ready)
        summary.add(ConditionType.RECONCILING, "True", CHECKING, waits)
    return summarized(location, summary.done(), requeue_after=None)
