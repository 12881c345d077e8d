"""Gathers, from the cache, what a decision looks at. No request is made: what is cached is at most moments old."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Set
from datetime import datetime
from typing import Any, Final, TypeVar

from smbferry_api.conditions import ConditionType, find
from smbferry_api.exit_codes import FailureClass
from smbferry_api.names import LABEL_OWNER_UID
from smbferry_api.reasons import IDENTITY_CHECK_AWAITED, KEY_REFUSED, RUN_QUEUED
from smbferry_api.run import ResolvedTask
from smbferry_api.run_status import RunState
from smbferry_api.served import read_spec
from smbferry_operator.cache import TAG_CHECK, TAG_QUEUED, TAG_STARTING, TAG_WRITER, Cache, account_tag
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.naming import ANNOTATION_DESTINATION, ANNOTATION_OWNER_NAME
from smbferry_operator.decide.observation import (
    Claim,
    Ends,
    IdentityObservation,
    LocationObservation,
    RunObservation,
    TaskObservation,
)
from smbferry_operator.decide.proof import Proof, newest_proof
from smbferry_operator.model import Identity, Job, Key, Kind, Location, Manifest, Pod, Refusal, Run, Task
from smbferry_operator.parse import (
    InvalidObjectError,
    parse_identity,
    parse_job,
    parse_location,
    parse_meta,
    parse_pod,
    parse_run,
    parse_task,
    parse_time,
)

P = TypeVar("P", Identity, Location, Task, Run)
R = TypeVar("R")
REMEMBERED: Final = 500
"""How many objects are kept as they were read; each is looked at many times before it changes."""
DOUBTFUL: Final = frozenset(
    {
        FailureClass.IDENTITY,
        FailureClass.POLICY,
        FailureClass.ACCESS,
        FailureClass.NETWORK,
        FailureClass.CLOCK,
        FailureClass.DNS,
    }
)
"""Failures of a run that cast doubt on the verdicts about its locations and identities."""
IN_LINE: Final = frozenset({RUN_QUEUED.name, IDENTITY_CHECK_AWAITED.name})
"""Reasons of runs that could start but for others."""


class Observer:
    """Looks into the cache."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._read: OrderedDict[Key, tuple[Manifest, Any]] = OrderedDict()

    def identity(
        self,
        key: Key,
        refusal: Refusal | None = None,
        *,
        awaited: bool = False,
        outdated: bool = False,
        checking: Set[Key] = frozenset(),
    ) -> IdentityObservation | None:
        """An identity with its checks; None if it is gone.

        Args:
            awaited: whether others wait until another check has tried its key.
            outdated: whether its Secret or its ConfigMap has changed since it was checked.
            checking: other identities whose check is being launched.

        Raises:
            InvalidObjectError: its spec can't be used.
        """
        identity = self._parsed(key, parse_identity)
        if identity is None:
            return None
        jobs, pods = self._agents(key, identity.meta.uid)
        locations = self._cache.referrer_keys(key, Kind.LOCATION)
        doubts = (self._doubted_at(locations), self._refused_at(locations))
        doubted_at = max((moment for moment in doubts if moment), default=None)
        checks = self._cache.count(TAG_CHECK)
        others = self._same_account(identity, key)
        busy = not checking.isdisjoint(others) or any(
            TAG_CHECK in self._cache.tags_of(job) for o in others for job in self._cache.referrer_keys(o, Kind.JOB)
        )
        readable = (self._readable(other, parse_identity) for other in others)
        return IdentityObservation(
            identity,
            jobs,
            pods,
            checks,
            doubted_at,
            refusal,
            awaited,
            outdated,
            same_account=tuple(other for other in readable if other is not None),
            account_busy=busy,
        )

    def _same_account(self, identity: Identity, key: Key) -> list[Key]:
        """The other identities of its account, of all namespaces."""
        return [other for other in self._cache.tagged(account_tag(identity.spec.principal)) if other != key]

    def location(self, key: Key, refusal: Refusal | None = None) -> LocationObservation | None:
        """A location with its identity and its checks; None if it is gone.

        Raises:
            InvalidObjectError: its spec can't be used.
        """
        location = self._parsed(key, parse_location)
        if location is None:
            return None
        jobs, pods = self._agents(key, location.meta.uid)
        identity = self._identity(key.namespace, location.spec.identity_ref.name)
        checks, proof = self._cache.count(TAG_CHECK), self._proof(identity) if identity else None
        return LocationObservation(location, identity, jobs, pods, checks, self._doubted_at([key]), refusal, proof)

    def task(self, key: Key) -> TaskObservation | None:
        """A task with its locations and runs; None if it is gone.

        Raises:
            InvalidObjectError: its spec can't be used.
        """
        task = self._parsed(key, parse_task)
        if task is None:
            return None
        runs = (self._readable(run, parse_run) for run in self._cache.referrer_keys(key, Kind.RUN))
        return TaskObservation(task, self._ends_of_task(task), tuple(run for run in runs if run is not None))

    def run(
        self, key: Key, reserved: Mapping[Key, Claim] | None = None, refusal: Refusal | None = None
    ) -> RunObservation | None:
        """A run with all that bears on it; None if it is gone.

        Args:
            reserved: claims of runs whose launch is being carried out.

        Raises:
            InvalidObjectError: its spec can't be used.
        """
        run = self._parsed(key, parse_run)
        if run is None:
            return None
        task = self._task(key.namespace, run.spec.task_ref.name)
        jobs, pods = self._agents(key, run.meta.uid)
        snapshot = _snapshot(run)
        if snapshot is not None:
            ends = self._ends(key.namespace, *(end.location for end in snapshot.ends))
        else:
            ends = self._ends_of_task(task) if task else Ends()
        claims = () if run.spec.dry_run else self._claims(run, reserved or {})
        at_work = any(not job.finished for job in jobs)
        proofs = {} if at_work else self._proofs(key.namespace, snapshot, ends)
        used_at = None if at_work else self._account_used_at(key, ends, reserved or {})
        return RunObservation(run, task, ends, jobs, pods, claims, refusal, proofs, used_at)

    def _account_used_at(self, run: Key, ends: Ends, launching: Iterable[Key]) -> datetime | None:
        """When a run by another identity of the account began that has not said yet whether its key was taken."""
        own = {Key(Kind.IDENTITY, i.meta.namespace, i.meta.name): i for i in ends.identities}
        others = {other for key, identity in own.items() for other in self._same_account(identity, key)} - own.keys()
        if not others:
            return None
        starting = {*self._cache.tagged(TAG_STARTING), *launching} - {run}
        users = (self._readable(key, parse_run) for key in starting)
        began = (
            user.status.start_time or user.meta.created
            for user in users
            if user is not None and (task := _snapshot(user)) is not None
            if any(Key(Kind.IDENTITY, user.meta.namespace, name) in others for name in task.identity_names)
        )
        return max(began, default=None)

    def _proofs(self, namespace: str, snapshot: ResolvedTask | None, ends: Ends) -> dict[str, Proof | None]:
        """Of the identities that a run is to use."""
        named = [self._identity(namespace, name) for name in snapshot.identity_names] if snapshot else []
        found = (*named, *ends.identities)
        return {identity.meta.name: self._proof(identity) for identity in found if identity}

    def _proof(self, identity: Identity) -> Proof | None:
        jobs, _ = self._agents(Key(Kind.IDENTITY, identity.meta.namespace, identity.meta.name), identity.meta.uid)
        return newest_proof(identity, jobs)

    def _agents(self, key: Key, uid: str) -> tuple[tuple[Job, ...], tuple[Pod, ...]]:
        jobs = (b for b in self._cache.referrers(key, Kind.JOB) if _owner_uid(b) == uid)
        pods = (b for b in self._cache.referrers(key, Kind.POD) if _owner_uid(b) == uid)
        return tuple(parse_job(b) for b in jobs), tuple(parse_pod(b) for b in pods)

    def at_work(self, key: Key, uid: str) -> bool:
        """Whether an agent of the object may be alive, whatever the object itself says."""
        jobs, pods = self._agents(key, uid)
        return any(not job.finished for job in jobs) or any(pod.living for pod in pods)

    def _doubted_at(self, locations: Iterable[Key]) -> datetime | None:
        """When a run between these locations last failed in a way that a check would see."""
        runs = (run for location in locations for run in self._cache.referrers(location, Kind.RUN))
        failed = (run["status"] for run in runs if (run.get("status") or {}).get("state") == RunState.FAILED)
        moments = (
            parse_time(status.get("completionTime"))
            for status in failed
            if (status.get("failure") or {}).get("class") in DOUBTFUL
        )
        return max((moment for moment in moments if moment), default=None)

    def _refused_at(self, locations: Iterable[Key]) -> datetime | None:
        """When a check of these locations last failed by its identity's key.

        The identity is checked at once then, and until it is well again nothing else tries its key: each wrong one
        counts towards the domain's lockout policy.
        """
        bodies = (body for location in locations if (body := self._cache.get(location)) is not None)
        statuses = [body.get("status") or {} for body in bodies]
        moments = (parse_time(status.get("lastCheckTime")) for status in statuses if _by_its_key(status))
        return max((moment for moment in moments if moment), default=None)

    def _parsed(self, key: Key, parse: Callable[[Manifest], P]) -> P | None:
        """The object as its kind is read; None where there is none.

        Raises:
            InvalidObjectError: its spec can't be used.
        """
        return self._remembered(key, parse)

    def _remembered(self, key: Key, read: Callable[[Manifest], R]) -> R | None:
        """What was read of the object as it is now; None where there is none. Each kind is read in one way only."""
        body = self._cache.get(key)
        if body is None:
            self._read.pop(key, None)
            return None
        known = self._read.get(key)
        if known is None or known[0] is not body:
            known = (body, read(body))
            self._read[key] = known
        self._read.move_to_end(key)
        if len(self._read) > REMEMBERED:
            self._read.popitem(last=False)
        found: R = known[1]
        return found

    def _readable(self, key: Key, parse: Callable[[Manifest], P]) -> P | None:
        try:
            return self._parsed(key, parse)
        except InvalidObjectError:  # said on the object itself; for others it is as good as missing
            return None

    def _identity(self, namespace: str, name: str) -> Identity | None:
        return self._readable(Key(Kind.IDENTITY, namespace, name), parse_identity)

    def _location(self, namespace: str, name: str) -> Location | None:
        return self._readable(Key(Kind.LOCATION, namespace, name), parse_location)

    def _task(self, namespace: str, name: str) -> Task | None:
        return self._readable(Key(Kind.TASK, namespace, name), parse_task)

    def _ends_of_task(self, task: Task) -> Ends:
        return self._ends(task.meta.namespace, *task.spec.location_names)

    def _ends(self, namespace: str, source: str, destination: str, report: str | None = None) -> Ends:
        first, second = self._location(namespace, source), self._location(namespace, destination)
        third = self._location(namespace, report) if report else None
        return Ends(
            first,
            second,
            self._identity_of(first),
            self._identity_of(second),
            third,
            self._identity_of(third),
        )

    def _identity_of(self, location: Location | None) -> Identity | None:
        return self._identity(location.meta.namespace, location.spec.identity_ref.name) if location else None

    def _claims(self, run: Run, reserved: Mapping[Key, Claim]) -> tuple[Claim, ...]:
        """Everyone else who writes or waits to write, in the whole cluster."""
        claims = [claim for claim in reserved.values() if claim.run_uid != run.meta.uid]
        for key in self._cache.tagged(TAG_WRITER):
            claim = self._remembered(key, _writing)
            if claim is not None and claim.run_uid != run.meta.uid:
                claims.append(claim)
        for key in self._cache.tagged(TAG_QUEUED):
            body = self._cache.get(key)
            if body is not None and body["metadata"]["uid"] != run.meta.uid and (claim := self._waiting(key, body)):
                claims.append(claim)
        return tuple(claims)

    def _waiting(self, key: Key, body: Manifest) -> Claim | None:
        """A run's place in the queue: held while nothing but another run or a check keeps it from starting."""
        if (body.get("status") or {}).get("state") != RunState.QUEUED:
            return None
        run = self._readable(key, parse_run)
        succeeded = find(run.status.conditions, ConditionType.SUCCEEDED) if run else None
        if run is None or succeeded is None or succeeded.reason not in IN_LINE or run.meta.deleting:
            return None
        snapshot = _snapshot(run)
        if snapshot is None or run.spec.cancel:
            return None
        return claim_of(run, Destination.of(snapshot.destination), run.meta.created, writing=False)


def _snapshot(run: Run) -> ResolvedTask | None:
    if run.spec.task is not None:
        return run.spec.task
    return read_spec(ResolvedTask, run.status.task) if run.status.task is not None else None


def _owner_uid(body: Manifest) -> str:
    uid: str = (body["metadata"].get("labels") or {}).get(LABEL_OWNER_UID, "")
    return uid


def _writing(body: Manifest) -> Claim:
    meta = parse_meta(body)
    name = meta.annotations.get(ANNOTATION_OWNER_NAME, meta.name)
    destination = Destination.parse(meta.annotations[ANNOTATION_DESTINATION])
    return Claim(f"{meta.namespace}/{name}", _owner_uid(body), destination, writing=True, since=meta.created)


def claim_of(run: Run, destination: Destination, since: datetime, *, writing: bool) -> Claim:
    """A run's claim on a destination."""
    return Claim(f"{run.meta.namespace}/{run.meta.name}", run.meta.uid, destination, writing, since)


def _by_its_key(status: Manifest) -> bool:
    """Whether the agent says that the KDC refused the key of a location's identity."""
    tickets = (c for c in status.get("conditions") or () if c.get("type") == ConditionType.TICKET_ACQUIRED)
    return any(c.get("reason") in KEY_REFUSED for c in tickets)
