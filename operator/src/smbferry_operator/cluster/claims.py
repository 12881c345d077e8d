"""Who else writes to a destination or waits for one, in the whole cluster.

A claim keeps the runs of other namespaces waiting, so it must be proven: the location that it writes by is Ready, or
was since the agent began, and leads to that folder. A run whose location no check has ever opened claims nothing there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from smbferry_api.conditions import ConditionType, find
from smbferry_api.reasons import IDENTITY_CHECK_AWAITED, RUN_QUEUED
from smbferry_api.run import ResolvedEnd, TaskRef, TransferRunSpec
from smbferry_api.run_status import RunState, TransferRunStatus
from smbferry_operator.cache import TAG_QUEUED
from smbferry_operator.cluster.reader import Reader
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.observation import Claim
from smbferry_operator.decide.readiness import Readiness, referent
from smbferry_operator.decide.record import recorded
from smbferry_operator.decide.resolve import resolve
from smbferry_operator.model import Job, Key, Kind, Manifest, Pod, Run
from smbferry_operator.parse import parse_meta, parse_run

IN_LINE: Final = frozenset({RUN_QUEUED.name, IDENTITY_CHECK_AWAITED.name})
"""Reasons of runs that could start but for others."""
SPARE: Final = 100


@dataclass(frozen=True, slots=True)
class Held:
    """A claim, and whether it counts in other namespaces."""

    claim: Claim
    proven: bool


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found of a run, and all that it follows from."""

    inputs: tuple[Manifest | None, ...]
    held: tuple[Held, ...]
    locations: frozenset[Key]


class Claims:
    """Looks through the cache for them; what was found of a run is kept until one of the objects around it changes."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._known: dict[tuple[Key, bool], _Known] = {}
        self._proven: set[tuple[str, Destination]] = set()
        self._held_now: list[Held] = []
        self._as_of = -1

    def of_others(self, run: Run, reserved: Mapping[Key, Claim]) -> tuple[Claim, ...]:
        """The claims that the run must respect.

        Args:
            reserved: of runs whose launch is being carried out.
        """
        if self._as_of != self._reader.cache.changes:
            self._look()
        launching = [Held(claim, proven=True) for claim in reserved.values()]
        self._proven |= {_token(each.claim) for each in launching}
        held = (*launching, *self._held_now)
        home = f"{run.meta.namespace}/"
        return tuple(
            each.claim
            for each in held
            if each.claim.run_uid != run.meta.uid and (each.proven or each.claim.holder.startswith(home))
        )

    def note(self, key: Key) -> None:
        """Sees to it that a run whose agent is at work is known to have been let in, while its location is Ready."""
        self._of(key, writing=True)

    def _look(self) -> None:
        """Finds all claims, once for each change of the cache."""
        writing, waiting = self._reader.cache.busy(Kind.RUN), self._reader.cache.tagged(TAG_QUEUED)
        held = [each for key in writing for each in self._of(key, writing=True)]
        at_work = {each.claim.run_uid for each in held}
        self._proven = {token for token in self._proven if token[0] in at_work}
        held += [each for key in waiting for each in self._of(key, writing=False)]
        self._forget_all_but(writing, waiting)
        self._held_now, self._as_of = held, self._reader.cache.changes

    def _of(self, key: Key, *, writing: bool) -> tuple[Held, ...]:
        known = self._known.get((key, writing))
        if known is None or not _same(known.inputs, self._inputs(key, known.locations)):
            run = self._reader.readable(key, parse_run) or (self._unreadable(key) if writing else None)
            ends = list((self._writing if writing else self._waiting)(key, run)) if run else []
            held = tuple(self._held(run, end, since, writing=writing) for end, since in ends) if run else ()
            locations = frozenset(Key(Kind.LOCATION, key.namespace, end.location) for end, _ in ends)
            known = self._known[key, writing] = _Known(self._inputs(key, locations), held, locations)
        return known.held

    def _unreadable(self, key: Key) -> Run | None:
        """A run that can't be read: its agent may be at work all the same."""
        body = self._reader.cache.get(key)
        if body is None:
            return None
        dry_run = (body.get("spec") or {}).get("dryRun") is True
        return Run(
            parse_meta(body), TransferRunSpec(task_ref=TaskRef(name="unknown"), dry_run=dry_run), TransferRunStatus()
        )

    def _forget_all_but(self, writing: Sequence[Key], waiting: Sequence[Key]) -> None:
        """Keeps the memory from growing with the runs that are over."""
        if len(self._known) > SPARE + 2 * (len(writing) + len(waiting)):
            keep = {*((key, True) for key in writing), *((key, False) for key in waiting)}
            self._known = {key: known for key, known in self._known.items() if key in keep}

    def _inputs(self, key: Key, places: frozenset[Key]) -> tuple[Manifest | None, ...]:
        """All objects that a run's claim follows from; `places` are the locations that its snapshot names."""
        cache = self._reader.cache
        run = cache.get(key)
        tasks = [other for other in cache.references_of(key) if other.kind is Kind.TASK]
        locations = [place for task in tasks for place in cache.references_of(task)]
        identities = [identity for place in locations for identity in cache.references_of(place)]
        around = (cache.get(other) for other in (*tasks, *locations, *identities, *places))
        return (run, *around, *cache.referrers(key, Kind.JOB), *cache.referrers(key, Kind.POD))

    def _writing(self, key: Key, run: Run) -> Iterator[tuple[ResolvedEnd, datetime]]:
        """Where an agent of the run may be at work, and since when."""
        jobs, pods = self._reader.agents(key, run.meta)
        at_work: tuple[Job | Pod, ...] = (
            *(job for job in jobs if not job.finished),
            *(pod for pod in pods if pod.living),
        )
        if not at_work or run.spec.dry_run:
            return
        since = min(agent.meta.created for agent in at_work)
        works = {agent.recorded.text: agent.recorded.task.destination for agent in at_work if agent.recorded}
        if not works and (end := self._destination_now(run)) is not None:  # begun by an operator that recorded nothing
            works = {"": end}
        for end in works.values():
            yield end, since

    def _waiting(self, key: Key, run: Run) -> Iterator[tuple[ResolvedEnd, datetime]]:
        """The run's place in the queue: held while nothing but another run or a check keeps it from starting."""
        succeeded = find(run.status.conditions, ConditionType.SUCCEEDED)
        if run.status.state is not RunState.QUEUED or succeeded is None or succeeded.reason not in IN_LINE:
            return
        if run.meta.deleting or run.spec.cancel or run.spec.dry_run:
            return
        work = recorded(*self._reader.agents(key, run.meta))
        end = work.task.destination if work else self._destination_now(run)
        if end is not None:
            yield end, run.meta.created

    def _destination_now(self, run: Run) -> ResolvedEnd | None:
        task = self._reader.task_named(run.meta.namespace, run.spec.task_ref.name)
        snapshot = resolve(task, self._reader.ends_of_task(task)) if task else None
        return snapshot.destination if snapshot else None

    def _held(self, run: Run, end: ResolvedEnd, since: datetime, *, writing: bool) -> Held:
        claim = claim_of(run, Destination.of(end), since, writing=writing)
        proven = self._is_open(run, end)
        if proven and writing:
            self._proven.add(_token(claim))
        return Held(claim, proven or (writing and _token(claim) in self._proven))

    def _is_open(self, run: Run, end: ResolvedEnd) -> bool:
        """Whether a check, or the run's agent, has opened the destination by the location that the run names."""
        location = self._reader.location_named(run.meta.namespace, end.location)
        if location is None:
            return False
        now = {"spec": location.spec, "dfs_target": location.status.dfs_target}
        if Destination.of(end.model_copy(update=now)) != Destination.of(end):
            return False
        evidence = run.status.security.destination if run.status.security else None
        return referent(location).state is Readiness.READY or bool(evidence and evidence.dialect)


def _token(claim: Claim) -> tuple[str, Destination]:
    return claim.run_uid, claim.destination


def _same(before: Sequence[Manifest | None], now: Sequence[Manifest | None]) -> bool:
    """Whether no object has changed: each one that does is another value in the cache."""
    return len(before) == len(now) and all(a is b for a, b in zip(before, now, strict=True))


def claim_of(run: Run, destination: Destination, since: datetime, *, writing: bool) -> Claim:
    """A run's claim on a destination."""
    return Claim(f"{run.meta.namespace}/{run.meta.name}", run.meta.uid, destination, writing, since)
