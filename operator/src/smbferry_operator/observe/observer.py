"""Collects from the cache what a decision looks at."""

from collections.abc import Iterable, Mapping, Set
from datetime import datetime

from smbferry_api.run import ResolvedTask
from smbferry_operator.decide.check import checks_identity, is_reported
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.fairness import ChecksUnderWay
from smbferry_operator.decide.grants import Grant
from smbferry_operator.decide.history import last_ended
from smbferry_operator.decide.limits import UNLIMITED, Demand, RunLimits, Standing
from smbferry_operator.decide.observation import (
    Claim,
    Ends,
    IdentityObservation,
    LocationObservation,
    RequestObservation,
    RunObservation,
    TaskObservation,
)
from smbferry_operator.decide.proof import Proof, newest_proof
from smbferry_operator.decide.record import recorded, reported
from smbferry_operator.decide.resolve import resolve
from smbferry_operator.decide.wanted import WantedCheck
from smbferry_operator.model import Identity, Key, Kind, Meta, Recorded, Refusal, Run, Task
from smbferry_operator.observe.cache import Cache
from smbferry_operator.observe.fleet import Fleet
from smbferry_operator.observe.reader import Reader
from smbferry_operator.observe.shared import Shared
from smbferry_operator.observe.tags import TAG_DOUBTFUL, TAG_KEY_REFUSED, TAG_STARTING, account_tag
from smbferry_operator.parse import parse_identity, parse_location, parse_run, parse_task, parse_time


class Observer:
    """Observes objects of all our kinds."""

    def __init__(self, cache: Cache, limits: RunLimits = UNLIMITED) -> None:
        self._cache = cache
        self._reader = Reader(cache)
        self._shared = Shared(self._reader)
        self.fleet = Fleet(self._reader, limits)

    def identity(
        self,
        key: Key,
        refusal: Refusal | None = None,
        *,
        awaited: bool = False,
        outdated: bool = False,
        checking: Set[Key] = frozenset(),
        wanted: Iterable[WantedCheck] = (),
    ) -> IdentityObservation | None:
        """An identity with its checks, None if it does not exist.

        Args:
            awaited: whether runs wait for another check of its key.
            outdated: whether its Secret or ConfigMap has changed since its last check.
            checking: other identities whose checks are being created.
            wanted: the next checks of its locations.

        Raises:
            InvalidObjectError: its spec is invalid.
        """
        identity = self._reader.parsed(key, parse_identity)
        if identity is None:
            return None
        jobs, pods = self._reader.agents(key, identity.meta)
        locations = self._cache.referrer_keys(key, Kind.LOCATION)
        doubts = (self._doubted_at(locations), self._refused_at(locations))
        doubted_at = max((moment for moment in doubts if moment), default=None)
        others = self._same_account(identity, key)
        busy = not checking.isdisjoint(others) or any(self._tries_key(other) for other in others)
        readable = (self._reader.readable(other, parse_identity) for other in others)
        return IdentityObservation(
            identity,
            jobs,
            pods,
            self._checks(key.namespace),
            doubted_at,
            refusal,
            awaited,
            outdated,
            same_account=tuple(other for other in readable if other is not None),
            account_busy=busy,
            wanted=tuple(wanted),
        )

    def _tries_key(self, key: Key) -> bool:
        """Whether an agent may be about to try the identity's key. One that has reported about it has done so."""
        identity = self._reader.readable(key, parse_identity) if self._cache.is_busy(key) else None
        if identity is None:
            return False
        jobs = (job for job in self._reader.agents(key, identity.meta)[0] if not (job.finished or job.suspended))
        return any(not (checks_identity(job) and is_reported(identity, job)) for job in jobs)

    def _checks(self, namespace: str) -> ChecksUnderWay:
        counts = self._cache.agents_by_namespace(Kind.IDENTITY, Kind.LOCATION)
        own = counts.pop(namespace, 0)
        return ChecksUnderWay(own, tuple(counts.values()))

    def _same_account(self, identity: Identity, key: Key) -> list[Key]:
        """The other identities of its account, of all namespaces."""
        return [other for other in self._cache.tagged(account_tag(identity.spec.principal)) if other != key]

    def location(self, key: Key, refusal: Refusal | None = None) -> LocationObservation | None:
        """A location with its identity and the Jobs that carry it, None if it does not exist.

        Raises:
            InvalidObjectError: its spec is invalid.
        """
        location = self._reader.parsed(key, parse_location)
        if location is None:
            return None
        identity = self._reader.identity_named(key.namespace, location.spec.identity_ref.name)
        jobs, pods = self._reader.checks_of(location, identity) if identity else ((), ())
        return LocationObservation(location, identity, jobs, pods, self._doubted_at([key]), refusal)

    def task(self, key: Key, refusal: Refusal | None = None) -> TaskObservation | None:
        """A task with its locations and runs, None if it does not exist.

        Raises:
            InvalidObjectError: its spec is invalid.
        """
        task = self._reader.parsed(key, parse_task)
        if task is None:
            return None
        own = (run for run in self._cache.referrer_keys(key, Kind.RUN) if run.namespace == key.namespace)
        found = (self._reader.readable(run, parse_run) for run in own)
        runs = tuple(run for run in found if run is not None)
        last, given = last_ended(runs), self._shared.grant_of(task)
        work = self._work_of(last, given) if last else None
        done = work.task if work else (reported(last.status) if last else None)
        ends = self._shared.ends_of(task, given)
        return TaskObservation(task, ends, runs, done, refusal, recorded=work.task if work else None, given=given)

    def request(self, key: Key, refusal: Refusal | None = None) -> RequestObservation | None:
        """A run whose work another run does, None if it does not exist or works by itself.

        Raises:
            InvalidObjectError: its spec is invalid.
        """
        run = self._reader.parsed(key, parse_run)
        return self._shared.request(run, refusal) if run is not None else None

    def run(
        self,
        key: Key,
        reserved: Mapping[Key, Claim] | None = None,
        refusal: Refusal | None = None,
        *,
        starting: Mapping[Key, Demand] | None = None,
    ) -> RunObservation | None:
        """A run with everything that its decision depends on, None if it does not exist.

        Args:
            reserved: claims of runs whose Jobs are being created.
            starting: what the runs count for whose Jobs are being created.

        Raises:
            InvalidObjectError: its spec is invalid.
        """
        run = self._reader.parsed(key, parse_run)
        if run is None:
            return None
        task = self._shared.task_of(run)
        jobs, pods = self._reader.agents(key, run.meta)
        work = recorded(jobs, pods)
        run = self._shared.as_asked(run, work.task if work else None)
        if work is not None:
            ends = self._reader.ends(key.namespace, *(end.location for end in work.task.ends))
        else:
            ends = self._reader.ends_of_task(task) if task else Ends()
        at_work = any(not job.finished for job in jobs)
        self.fleet.starts(starting or {}, reserved or {})
        self.fleet.refresh()
        self.fleet.decides(key)
        snapshot = work.task if work is not None else (resolve(task, ends) if task else None)
        claims, standing = self._among_others(run, task, snapshot, reserved or {}, at_work=at_work)
        identities = self._identities(key.namespace, work.task if work else None, ends)
        proofs = {} if at_work else {name: self._proof(identity) for name, identity in identities.items()}
        used_at = None if at_work else self._account_used_at(key, ends, reserved or {})
        return RunObservation(run, task, ends, jobs, pods, claims, refusal, proofs, used_at, identities, standing)

    def _among_others(
        self,
        run: Run,
        task: Task | None,
        snapshot: ResolvedTask | None,
        reserved: Mapping[Key, Claim],
        *,
        at_work: bool,
    ) -> tuple[tuple[Claim, ...], Standing | None]:
        """The claims of other runs that concern the run, and its standing at the limits."""
        if snapshot is None or (run.status.state is not None and run.status.state.ended):
            return (), None
        priority = task.spec.priority if task is not None else 0
        standing = self.fleet.standing(run, snapshot, priority, begun=at_work)
        if at_work or not run.spec.writes:
            return (), standing
        return self.fleet.claims_on(Destination.of(snapshot.destination), run, reserved), standing

    def _account_used_at(self, run: Key, ends: Ends, launching: Iterable[Key]) -> datetime | None:
        """When a run with another identity of the account started whose agent has not yet reported about its key."""
        own = {Key(Kind.IDENTITY, i.meta.namespace, i.meta.name): i for i in ends.identities}
        others = {other for key, identity in own.items() for other in self._same_account(identity, key)} - own.keys()
        if not others:
            return None
        starting = {*self._cache.tagged(TAG_STARTING), *launching} - {run}
        users = (self._reader.readable(key, parse_run) for key in starting)
        began = (
            user.status.start_time or user.meta.created
            for user in users
            if user is not None
            if any(Key(Kind.IDENTITY, user.meta.namespace, name) in others for name in self._identities_used(user))
        )
        return max(began, default=None)

    def _work_of(self, run: Run, given: Grant | None = None) -> Recorded | None:
        """The snapshot in the run's Jobs and pods, or in those of the run that serves it.

        Args:
            given: of the task.
        """
        served_by = run.status.served_by
        if (served_by.namespace if served_by else None) != (given.namespace if given else None):
            return None
        worker = run if given is None else self._shared.serving(run, given.namespace)
        return self._recorded(worker) if worker is not None else None

    def _recorded(self, run: Run) -> Recorded | None:
        """The snapshot in the run's own Jobs and pods."""
        return recorded(*self._reader.agents(Key(Kind.RUN, run.meta.namespace, run.meta.name), run.meta))

    def _identities_used(self, run: Run) -> tuple[str, ...]:
        if work := self._recorded(run):
            return work.task.identity_names
        if self._shared.is_served(run):  # the run that serves it uses them
            return ()
        task = self._shared.task_of(run)
        ends = self._reader.ends_of_task(task) if task else Ends()
        return tuple(identity.meta.name for identity in ends.identities)

    def _identities(self, namespace: str, work: ResolvedTask | None, ends: Ends) -> dict[str, Identity]:
        """The identities that the run uses, as far as they exist."""
        named = [self._reader.identity_named(namespace, name) for name in work.identity_names] if work else []
        return {identity.meta.name: identity for identity in (*named, *ends.identities) if identity}

    def _proof(self, identity: Identity) -> Proof | None:
        key = Key(Kind.IDENTITY, identity.meta.namespace, identity.meta.name)
        return newest_proof(identity, self._reader.agents(key, identity.meta)[0])

    def at_work(self, key: Key, owner: Meta) -> bool:
        """Whether an agent of the object may be alive, even if the object itself is invalid."""
        jobs, pods = self._reader.agents(key, owner)
        return any(not job.finished for job in jobs) or any(pod.living for pod in pods)

    def _doubted_at(self, locations: Iterable[Key]) -> datetime | None:
        """When a run that uses these locations last failed in a way that a check would detect."""
        runs = (
            run
            for location in locations
            for task in self._cache.referrer_keys(location, Kind.TASK)
            for run in self._cache.referrer_keys(task, Kind.RUN)
            if run.namespace == location.namespace  # others only name it: they must not have it checked
        )
        return self._newest("completionTime", (run for run in runs if TAG_DOUBTFUL in self._cache.tags_of(run)))

    def _newest(self, field: str, keys: Iterable[Key]) -> datetime | None:
        """The newest of these times in the status of these objects."""
        bodies = (body for key in keys if (body := self._cache.get(key)) is not None)
        moments = (parse_time((body.get("status") or {}).get(field)) for body in bodies)
        return max((moment for moment in moments if moment), default=None)

    def _refused_at(self, locations: Iterable[Key]) -> datetime | None:
        """When a check of these locations last failed because of the identity's key.

        The identity is then checked at once. Until it is healthy nothing else tries its key: each wrong one counts
        towards the domain's lockout policy.
        """
        refused = (location for location in locations if TAG_KEY_REFUSED in self._cache.tags_of(location))
        return self._newest("lastCheckTime", refused)
