"""SmbLocation: checks it with its identity once that is Ready, and summarizes the agent's result."""

from dataclasses import replace
from datetime import datetime

from smbferry_api.agent_contract import AgentCommand
from smbferry_api.conditions import LOCATION_CHECKS, ConditionType, find
from smbferry_api.fields import format_time
from smbferry_api.names import ANNOTATION_REQUESTED_AT
from smbferry_api.reasons import CHECKING, IDENTITY_NOT_FOUND, IDENTITY_NOT_READY
from smbferry_operator.decide.check import (
    POLL,
    Checks,
    Subject,
    check_inputs,
    decide_check,
    judged_generation,
    last_check_text,
    summarized,
)
from smbferry_operator.decide.decision import Decision
from smbferry_operator.decide.manifests.access import build_access
from smbferry_operator.decide.manifests.jobs import Check
from smbferry_operator.decide.manifests.network import build_network_policy
from smbferry_operator.decide.manifests.pods import union_of_nameservers
from smbferry_operator.decide.observation import LocationObservation
from smbferry_operator.decide.proof import is_proven
from smbferry_operator.decide.readiness import Readiness, Referent, referent
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.decide.status import Summary
from smbferry_operator.model import Identity, Kind, Location


def decide_location(seen: LocationObservation, now: datetime, settings: AgentSettings) -> Decision:
    """What to do about a location."""
    location = seen.location
    if location.meta.deleting:
        return Decision()
    identity = referent(seen.identity)
    if seen.identity is None or identity.state is not Readiness.READY:
        return _without_identity(location, identity, now)
    checks = Checks(seen.jobs, seen.pods, seen.checks, seen.doubted_at, seen.refusal)
    decision = decide_check(_subject(location, seen.identity, identity, settings), checks, now, settings)
    known = (checks.last.meta.created if checks.last else None, seen.doubted_at)
    if not decision.create or is_proven(seen.proof, since=max(filter(None, known), default=None)):
        return decision
    # Many locations may be due at once, and each of their agents uses the key: the identity is checked first.
    return replace(decision, apply=(), create=(), awaits=(seen.identity.meta.name,), requeue_after=POLL)


def _subject(location: Location, identity: Identity, state: Referent, settings: AgentSettings) -> Subject:
    judged = judged_generation(location.status.conditions, LOCATION_CHECKS)
    used = location.status.identity_generation
    since = format_time(state.condition.last_transition_time) if state.condition else ""
    check = Check(
        kind=Kind.LOCATION,
        owner=location.meta,
        command=AgentCommand.CHECK_LOCATION,
        identity=identity.spec,
        nameservers=union_of_nameservers(location.spec.nameservers, identity.spec.nameservers),
        inputs=check_inputs(location, identity),
        epoch=since,
        last_check=last_check_text(location),
        settings=(identity.spec.agent, location.spec.agent),
        request=location.meta.annotations.get(ANNOTATION_REQUESTED_AT, ""),
    )
    return Subject(
        resource=location,
        checks=LOCATION_CHECKS,
        check=check,
        access=(
            *build_access(Kind.LOCATION, location.meta, also_reads=((Kind.IDENTITY, identity.meta.name),)),
            *build_network_policy(
                Kind.LOCATION,
                location.meta,
                settings,
                nameservers=check.nameservers,
                smb_ports=(location.spec.port,),
            ),
        ),
        judged_inputs=None if judged is None or used is None else f"{judged}.{used}",
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
