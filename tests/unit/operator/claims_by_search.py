"""Claims as they were found before they were indexed: by looking at all runs. What the index is compared with.

A claim makes runs of other namespaces wait, so it must be proven: the run's location is Ready, or was since its agent
started, and leads to that folder. A run whose location no check has ever opened has no claim in other namespaces.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from smbferry_api.conditions import ConditionType, find
from smbferry_api.reasons import IDENTITY_CHECK_AWAITED, RUN_QUEUED
from smbferry_api.run import ResolvedEnd, TaskRef, TransferRunSpec
from smbferry_api.run_status import RunState, TransferRunStatus
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.observation import Claim
from smbferry_operator.decide.readiness import Readiness, referent
from smbferry_operator.decide.record import recorded
from smbferry_operator.decide.resolve import resolve
from smbferry_operator.model import Job, Key, Kind, Manifest, Pod, Resource, Run
from smbferry_operator.observe.reader import Reader
from smbferry_operator.observe.tags import TAG_QUEUED
from smbferry_operator.parse import parse_meta, parse_run

QUEUED_REASONS: Final = frozenset({RUN_QUEUED.name, IDENTITY_CHECK_AWAITED.name})
"""Reasons of runs that wait only for other runs or for a check."""
SPARE: Final = 100


@dataclass(frozen=True, slots=True)
class Held:
    """A claim, and whether it counts in other namespaces."""

    claim: Claim
    proven: bool


@dataclass(frozen=True, slots=True)
class _Known:
    """The claims of a run, and the objects that they follow from."""

    inputs: tuple[Manifest | None, ...]
    held: tuple[Held, ...]
    locations: frozenset[Key]


class Claims:
    """Finds claims in the cache. A run's claims are kept until one of the objects around it changes."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._known: dict[tuple[Key, bool], _Known] = {}
        self._proven: set[tuple[str, Destination]] = set()
        self._held_now: list[Held] = []

    def of_others(self, run: Run, reserved: Mapping[Key, Claim]) -> tuple[Claim, ...]:
        """The claims that the run must respect.

        Args:
            reserved: claims of runs whose Jobs are being created.
        """
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
        """Records the claim of a run with an agent while its location is Ready, so that it stays proven afterwards."""
        self._of(key, writing=True)

    def _look(self) -> None:
        """Finds all claims, once per change of the cache."""
        cache = self._reader.cache
        writing = [key for key in sorted(cache) if key.kind is Kind.RUN and cache.is_busy(key)]
        waiting = cache.tagged(TAG_QUEUED)
        held = [each for key in writing for each in self._of(key, writing=True)]
        at_work = {each.claim.run_uid for each in held}
        self._proven = {token for token in self._proven if token[0] in at_work}
        held += [each for key in waiting for each in self._of(key, writing=False)]
        self._forget_all_but(writing, waiting)
        self._held_now = held

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
        """An invalid run: its agent may be at work nevertheless."""
        body = self._reader.cache.get(key)
        if body is None:
            return None
        spec = body.get("spec") or {}
        only_reads = spec.get("survey") is True and spec.get("measureDestination") in (None, False)
        dry_run = spec.get("dryRun") is True or only_reads
        return Resource(
            parse_meta(body), TransferRunSpec(task_ref=TaskRef(name="unknown"), dry_run=dry_run), TransferRunStatus()
        )

    def _forget_all_but(self, writing: Sequence[Key], waiting: Sequence[Key]) -> None:
        """Drops the claims of runs that have ended, so that memory does not grow."""
        if len(self._known) > SPARE + 2 * (len(writing) + len(waiting)):
            keep = {*((key, True) for key in writing), *((key, False) for key in waiting)}
            self._known = {key: known for key, known in self._known.items() if key in keep}

    def _inputs(self, key: Key, places: frozenset[Key]) -> tuple[Manifest | None, ...]:
        """All objects that a run's claim follows from.

        Args:
            places: the locations that its snapshot names.
        """
        cache = self._reader.cache
        run = cache.get(key)
        tasks = [other for other in cache.references_of(key) if other.kind is Kind.TASK]
        locations = [place for task in tasks for place in cache.references_of(task)]
        identities = [identity for place in locations for identity in cache.references_of(place)]
        around = (cache.get(other) for other in (*tasks, *locations, *identities, *places))
        return (run, *around, *cache.referrers(key, Kind.JOB), *cache.referrers(key, Kind.POD))

    def _writing(self, key: Key, run: Run) -> Iterator[tuple[ResolvedEnd, datetime]]:
        """The destinations where an agent of the run may be at work, and since when."""
        jobs, pods = self._reader.agents(key, run.meta)
        at_work: tuple[Job | Pod, ...] = (
            *(job for job in jobs if not job.finished),
            *(pod for pod in pods if pod.living),
        )
        if not at_work or not run.spec.writes:
            return
        since = min(agent.meta.created for agent in at_work)
        works = {agent.recorded.text: agent.recorded.task.destination for agent in at_work if agent.recorded}
        if (
            not works and (end := self._destination_now(run)) is not None
        ):  # started by an operator that recorded no snapshot
            works = {"": end}
        for end in works.values():
            yield end, since

    def _waiting(self, key: Key, run: Run) -> Iterator[tuple[ResolvedEnd, datetime]]:
        """The run's place in the queue: it has one while only another run or a check keeps it from starting."""
        succeeded = find(run.status.conditions, ConditionType.SUCCEEDED)
        if run.status.state is not RunState.QUEUED or succeeded is None or succeeded.reason not in QUEUED_REASONS:
            return
        if run.meta.deleting or run.spec.cancel or not run.spec.writes:
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
        """Whether a check or the run's agent has opened the destination through the location that the run names."""
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
    """Whether no object has changed: a changed object is another value in the cache."""
    return len(before) == len(now) and all(a is b for a, b in zip(before, now, strict=True))


def claim_of(run: Run, destination: Destination, since: datetime, *, writing: bool) -> Claim:
    """A run's claim on a destination."""
    return Claim(f"{run.meta.namespace}/{run.meta.name}", run.meta.uid, destination, writing, since)
