"""KerberosIdentity: checks it and its locations, and summarizes the agent's result about the identity (ADR 46).

Pods grow with identities, not with locations:

- A Job that starts carries the locations of its group that are due, and those that will be within half of their
  interval. Half is what brings any two locations into step: of two that are apart, one is at most half an interval
  behind the other. From then on both are due together.
- What becomes due together is gathered: for a second, and for five since the last Job of its group.
  Nothing waits for a Job's end, as one of its locations may hang.
- A Job also checks the identity if that is due, or if its key has not just been tried. While the identity is not
  Ready, none of its locations is checked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from smbferry_api.agent_contract import MOST_LOCATIONS
from smbferry_api.conditions import IDENTITY_CHECKS
from smbferry_api.fields import format_time
from smbferry_api.names import ANNOTATION_OWNER_GENERATION, ANNOTATION_REQUESTED_AT
from smbferry_operator.decide.account import account_use
from smbferry_operator.decide.check import (
    BUSY,
    Checks,
    Judged,
    Subject,
    check_inputs,
    checks_identity,
    judge,
    judged_generation,
    last_check_text,
)
from smbferry_operator.decide.decision import Decision, soonest
from smbferry_operator.decide.manifests.access import build_access
from smbferry_operator.decide.manifests.jobs import Check, build_check_job, check_deadline
from smbferry_operator.decide.manifests.network import build_network_policy
from smbferry_operator.decide.naming import ANNOTATION_CHECK_INPUTS
from smbferry_operator.decide.observation import IdentityObservation
from smbferry_operator.decide.proof import newest_proof
from smbferry_operator.decide.readiness import Readiness, referent
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.decide.wanted import OWN_GROUP, Group, WantedCheck
from smbferry_operator.model import Identity, Job, Key, Kind, Load, Manifest

SETTLE: Final = timedelta(seconds=1)
"""How long a location that became due by an event waits for others: many are created or changed together, and all
become due when their identity has changed or recovered."""
GATHER: Final = timedelta(seconds=5)
"""The least time between two Jobs of a group, unless the second one is full."""
MOST_JOBS: Final = 10
"""Unfinished Jobs of a group: the identity's Role names the locations of all of them."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A Job that is to be created."""

    carries: tuple[WantedCheck, ...]
    group: Group
    checks_identity: bool = True

    @property
    def load(self) -> Load | None:
        """What is recorded in the Job."""
        if not self.carries:
            return None
        return Load(self.group.id, self.group.nameservers, tuple(wanted.carried for wanted in self.carries))


def decide_identity(seen: IdentityObservation, now: datetime, settings: AgentSettings) -> Decision:
    """What to do about an identity and the checks of its locations."""
    if seen.identity.meta.deleting:
        return Decision()
    judged = judge(_subject(seen, now), _checks(seen), now)
    if outdated := tuple(_key(job) for job in seen.jobs if _is_outdated(job, seen.identity)):
        return replace(judged.decision, delete=outdated, requeue_after=BUSY)
    launch = _next_launch(seen, judged, now)
    if not isinstance(launch, Launch):
        return replace(judged.decision, requeue_after=soonest(judged.decision.requeue_after, launch))
    waits = seen.account_busy or seen.checks.fill(settings.max_concurrent_checks) or _is_full(launch.group, seen.jobs)
    if waits:
        return replace(judged.decision, requeue_after=BUSY)
    return _launched(seen, judged, launch, settings)


def _subject(seen: IdentityObservation, now: datetime) -> Subject:
    identity = seen.identity
    generation = judged_generation(identity.status.conditions, IDENTITY_CHECKS)
    return Subject(
        resource=identity,
        checks=IDENTITY_CHECKS,
        inputs=check_inputs(identity),
        judged_inputs=None if generation is None else str(generation),
        request=identity.meta.annotations.get(ANNOTATION_REQUESTED_AT, ""),
        account=account_use(identity, seen.same_account, now),
    )


def _checks(seen: IdentityObservation) -> Checks:
    own = tuple(job for job in seen.jobs if checks_identity(job))
    return Checks(own, seen.pods, seen.doubted_at, seen.refusal, seen.awaited, seen.outdated)


def _is_outdated(job: Job, identity: Identity) -> bool:
    """Whether the Job is at work with an earlier spec of the identity."""
    annotations = job.meta.annotations
    generation = annotations.get(ANNOTATION_CHECK_INPUTS) or annotations.get(ANNOTATION_OWNER_GENERATION)
    return not (job.finished or job.meta.deleting) and generation != check_inputs(identity)


def _key(job: Job) -> Key:
    return Key(Kind.JOB, job.meta.namespace, job.meta.name)


def _launched(seen: IdentityObservation, judged: Judged, launch: Launch, settings: AgentSettings) -> Decision:
    """Creates the Job, and what its agent needs beside it."""
    identity, load = seen.identity, launch.load
    check = Check(identity, launch.checks_identity, load, launch.group.settings)
    again = timedelta(seconds=1)
    if launch.checks_identity:
        request = identity.meta.annotations.get(ANNOTATION_REQUESTED_AT, "")
        check = replace(check, last_check=last_check_text(identity), request=request, follows=judged.follows)
        again = check_deadline(load)
    return replace(
        judged.decision,
        apply=_build_access(identity, load, seen.jobs, settings),
        create=(build_check_job(check, settings),),
        carries=tuple(wanted.carried.name for wanted in launch.carries),
        only_carries=not launch.checks_identity,
        requeue_after=again,
    )


def _next_launch(seen: IdentityObservation, judged: Judged, now: datetime) -> Launch | timedelta | None:
    """The Job to create now, the time until one is to be created, or None if none is foreseen."""
    if judged.due_in is None:
        return None
    wanted = _open(seen)
    if judged.is_due:
        return Launch(_chosen(wanted, OWN_GROUP, now), Group(OWN_GROUP, seen.identity.spec.nameservers))
    due: dict[str, list[WantedCheck]] = {}
    for each in wanted:
        if each.due_at <= now:
            due.setdefault(each.group.id, []).append(each)
    if not due:
        return None
    when, id_ = min((_launched_at(id_, group, seen.jobs), id_) for id_, group in due.items())
    if when > now:
        return when - now
    own = [job for job in seen.jobs if checks_identity(job)]
    proves = id_ == OWN_GROUP and newest_proof(seen.identity, own) is None
    return Launch(_chosen(wanted, id_, now), due[id_][0].group, checks_identity=proves)


def _is_full(group: Group, jobs: Iterable[Job]) -> bool:
    """Whether no further Job of the group may start. A queue may hold back those of another group for long."""
    unfinished = (job.load.group if job.load else OWN_GROUP for job in jobs if not job.finished)
    return sum(id_ == group.id for id_ in unfinished) >= MOST_JOBS


def _open(seen: IdentityObservation) -> list[WantedCheck]:
    """The checks that no Job carries, of the identity as it is now. None if it is not Ready."""
    identity, state = seen.identity, referent(seen.identity)
    if state.state is not Readiness.READY or state.condition is None:
        return []
    since, ending = format_time(state.condition.last_transition_time), f".{check_inputs(identity)}"
    known = {carried for job in seen.jobs if job.load for carried in job.load.locations}
    return [
        wanted
        for wanted in seen.wanted
        if wanted.carried.epoch == since and wanted.carried.inputs.endswith(ending) and wanted.carried not in known
    ]


def _launched_at(id_: str, due: Sequence[WantedCheck], jobs: Iterable[Job]) -> datetime:
    """When these checks of a group are launched."""
    settled = min(each.since + SETTLE if each.since else each.due_at for each in due)
    if len(due) >= MOST_LOCATIONS:
        return min(each.due_at for each in due)
    last = max((job.meta.created for job in jobs if job.load and job.load.group == id_), default=None)
    return max(settled, last + GATHER) if last else settled


def _chosen(wanted: Iterable[WantedCheck], id_: str, now: datetime) -> tuple[WantedCheck, ...]:
    """The checks of a group that a Job carries: those that have been due for longest first."""
    found = [each for each in wanted if each.group.id == id_ and each.joins_from <= now]
    chosen = sorted(found, key=lambda each: (each.due_at, each.carried.name))[:MOST_LOCATIONS]
    return tuple(sorted(chosen, key=lambda each: (each.failing, each.carried.name)))


def _build_access(
    identity: Identity, load: Load | None, jobs: Iterable[Job], settings: AgentSettings
) -> tuple[Manifest, ...]:
    """What the Job's agent may do, together with the identity's other agents at work: they share a ServiceAccount."""
    loads = [load, *(job.load for job in jobs if not job.finished)]
    carried = {each.name: each for some in loads if some for each in some.locations}
    nameservers = [some.nameservers if some else identity.spec.nameservers for some in loads]
    joined = dict.fromkeys(address for some in nameservers for address in some)
    return (
        *build_access(Kind.IDENTITY, identity.meta, locations=sorted(carried)),
        *build_network_policy(
            Kind.IDENTITY,
            identity.meta,
            settings,
            nameservers=joined if all(nameservers) else (),
            smb_ports=(each.port for each in carried.values()),
        ),
    )
