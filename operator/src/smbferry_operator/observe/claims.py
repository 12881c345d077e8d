"""Which folders a run writes to or waits for, and what it counts for.

A claim makes runs of other namespaces wait, so it must be proven: the run's location is Ready, or was since its agent
started, and leads to that folder. A run whose location no check has ever opened has no claim in other namespaces. The
same holds for what a run counts for at a file server.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from smbferry_api.conditions import ConditionType, find
from smbferry_api.location import NO_LIMITS
from smbferry_api.reasons import APPROVAL_REQUIRED, IDENTITY_CHECK_AWAITED, LIMIT_REACHED, PLAN_CHANGED, RUN_QUEUED
from smbferry_api.run import ResolvedEnd, ResolvedTask, TaskRef, TransferRunSpec
from smbferry_api.run_status import RunState, TransferRunStatus
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.limits import Demand, RunLimits, demand_of
from smbferry_operator.decide.observation import Claim
from smbferry_operator.decide.readiness import Readiness, referent
from smbferry_operator.decide.record import recorded
from smbferry_operator.decide.resolve import readiness_obstacle, resolve
from smbferry_operator.model import Job, Key, Kind, Pod, Resource, Run, Task
from smbferry_operator.observe.destinations import Held
from smbferry_operator.observe.reader import Reader
from smbferry_operator.observe.shared import Shared
from smbferry_operator.parse import parse_meta, parse_run

PLANNED_REASONS: Final = frozenset({APPROVAL_REQUIRED.name, PLAN_CHANGED.name})
"""Reasons of runs whose plan waits for approval: it would change if another run wrote there first."""
QUEUED_REASONS: Final = frozenset({RUN_QUEUED.name, IDENTITY_CHECK_AWAITED.name, LIMIT_REACHED.name, *PLANNED_REASONS})
"""Reasons of runs that keep their place at the destination."""
HOME_REASONS: Final = frozenset({LIMIT_REACHED.name, *PLANNED_REASONS})
"""Those that a namespace's own limits or people cause: they must not hold up the runs of another."""


@dataclass(frozen=True, slots=True)
class Found:
    """What follows for others from a run."""

    held: frozenset[Held] = frozenset()
    active: Demand | None = None
    """What it counts for while its agents work, and between two of its Jobs."""
    waiting: Demand | None = None
    """What it waits for if only limits keep it from starting."""
    inputs: tuple[Key, ...] = ()
    """The task, the locations and the identities from which all this follows, whether or not they exist."""


@dataclass(frozen=True, slots=True)
class _Look:
    """A run with its agents."""

    key: Key
    run: Run
    jobs: tuple[Job, ...]
    pods: tuple[Pod, ...]
    task: Task | None

    @property
    def at_work(self) -> tuple[Job | Pod, ...]:
        """The unfinished Jobs and living pods."""
        return (*(job for job in self.jobs if not job.finished), *(pod for pod in self.pods if pod.living))

    @property
    def reason(self) -> str:
        """The reason for which it is queued, empty if it is not."""
        succeeded = find(self.run.status.conditions, ConditionType.SUCCEEDED)
        return succeeded.reason if self.run.status.state is RunState.QUEUED and succeeded is not None else ""


class Claims:
    """Derives claims and demands from the objects in the cache."""

    def __init__(self, reader: Reader, limits: RunLimits) -> None:
        self._reader = reader
        self._shared = Shared(reader)
        self._limits = limits
        self._proven: dict[str, set[Destination]] = {}
        """By run: destinations and sources that were proven while its agents worked."""

    def found(self, key: Key, *, starting: bool) -> Found:
        """What follows for others from a run as it is now; nothing from one that has ended or does not exist.

        Args:
            starting: whether its Job is being created.
        """
        run = self._reader.readable(key, parse_run) or self._unreadable(key)
        if run is None:
            return Found()
        jobs, pods = self._reader.agents(key, run.meta)
        if self._shared.is_served(run):  # the run that serves it counts
            return Found(inputs=(Key(Kind.TASK, key.namespace, run.spec.task_ref.name),))
        work = recorded(jobs, pods)
        run = self._shared.as_asked(run, work.task if work else None)
        look = _Look(key, run, jobs, pods, self._shared.task_of(run))
        if not (look.at_work or starting):
            self._proven.pop(run.meta.uid, None)
        task = work.task if work else self._now(look)
        return Found(
            frozenset((*self._writing(look), *self._in_line(look))),
            self._active(look, task),
            self._limited(look, task),
            tuple(dict.fromkeys(self._inputs(look, work.task if work else None))),
        )

    def start(self, claim: Claim) -> None:
        """The operator is creating a Job of the claim's run: the claim is proven."""
        self._proven.setdefault(claim.run_uid, set()).add(claim.destination)

    def demand(self, run: Run, task: ResolvedTask, priority: int, *, begun: bool) -> Demand:
        """What a run counts for that works by this snapshot, or would."""
        locations = {
            end.location: self._reader.location_named(run.meta.namespace, end.location)
            for end in (task.source, task.destination)
        }
        located = {
            name: location.spec.limits or NO_LIMITS for name, location in locations.items() if location is not None
        }

        def proven(end: ResolvedEnd) -> bool:
            reads = end is task.source
            return self._is_open(run, end, reads=reads) or Destination.of(end) in self._proven.get(run.meta.uid, ())

        return demand_of(run, task, priority, self._limits, located=located, proven=proven, begun=begun)

    def _unreadable(self, key: Key) -> Run | None:
        """An invalid run: its agent may be at work nevertheless."""
        body = self._reader.cache.get(key)
        if body is None or not self._reader.cache.is_busy(key):
            return None
        spec = body.get("spec") or {}
        only_reads = spec.get("survey") is True and spec.get("measureDestination") in (None, False)
        dry_run = spec.get("dryRun") is True or only_reads
        return Resource(
            parse_meta(body), TransferRunSpec(task_ref=TaskRef(name="unknown"), dry_run=dry_run), TransferRunStatus()
        )

    def _inputs(self, look: _Look, work: ResolvedTask | None) -> Iterator[Key]:
        namespace, asked = look.key.namespace, look.run.spec.on_behalf_of
        yield Key(Kind.TASK, asked.namespace if asked else namespace, look.run.spec.task_ref.name)
        if asked is not None:
            yield Key(Kind.RUN, asked.namespace, asked.name)
        names = set(look.task.spec.location_names) if look.task is not None else set()
        names |= {end.location for end in work.ends} if work is not None else set()
        for name in names:
            yield Key(Kind.LOCATION, namespace, name)
            location = self._reader.location_named(namespace, name)
            if location is not None:
                yield Key(Kind.IDENTITY, namespace, location.spec.identity_ref.name)

    # --- Claims

    def _writing(self, look: _Look) -> Iterator[Held]:
        """The destinations where an agent of the run may be at work, and since when."""
        at_work = look.at_work
        if not at_work or not look.run.spec.writes:
            return
        since = min(agent.meta.created for agent in at_work)
        works = {agent.recorded.text: agent.recorded.task.destination for agent in at_work if agent.recorded}
        if not works and (now := self._now(look)) is not None:  # started by an operator that recorded no snapshot
            works = {"": now.destination}
        for end in works.values():
            yield self._held(look.run, end, since, writing=True)

    def _in_line(self, look: _Look) -> Iterator[Held]:
        """The run's place in the queue: it has one while only other runs, a check or an approval hold it up."""
        run = look.run
        if look.reason not in QUEUED_REASONS or run.meta.deleting or run.spec.cancel or not run.spec.writes:
            return
        work = recorded(look.jobs, look.pods)
        task = work.task if work else self._now(look)
        if task is not None:
            held = self._held(run, task.destination, run.meta.created, writing=False)
            yield Held(held.claim, held.proven and look.reason not in HOME_REASONS)

    def _now(self, look: _Look) -> ResolvedTask | None:
        return resolve(look.task, self._reader.ends_of_task(look.task)) if look.task else None

    def _held(self, run: Run, end: ResolvedEnd, since: datetime, *, writing: bool) -> Held:
        claim = claim_of(run, Destination.of(end), since, writing=writing)
        proven = self._is_open(run, end)
        if proven and writing:
            self._proven.setdefault(run.meta.uid, set()).add(claim.destination)
        return Held(claim, proven or (writing and claim.destination in self._proven.get(run.meta.uid, ())))

    def _is_open(self, run: Run, end: ResolvedEnd, *, reads: bool = False) -> bool:
        """Whether a check or the run's agent has opened the folder through the location that the run names.

        Args:
            reads: whether it is the run's source, else its destination.
        """
        location = self._reader.location_named(run.meta.namespace, end.location)
        if location is None:
            return False
        now = {"spec": location.spec, "dfs_target": location.status.dfs_target}
        if Destination.of(end.model_copy(update=now)) != Destination.of(end):
            return False
        security = run.status.security
        evidence = (security.source if reads else security.destination) if security else None
        return referent(location).state is Readiness.READY or bool(evidence and evidence.dialect)

    # --- Demands

    def _active(self, look: _Look, task: ResolvedTask | None) -> Demand | None:
        """A run counts from its first Job to its end, unless it waits for something between two Jobs."""
        state = look.run.status.state
        between = any(job.recorded for job in look.jobs) and state not in {None, RunState.QUEUED}
        if task is None or not (look.at_work or (between and not (state and state.ended))):
            return None
        if look.at_work:
            self._prove_ends(look.run, task)
        return self.demand(look.run, task, _priority(look), begun=True)

    def _prove_ends(self, run: Run, task: ResolvedTask) -> None:
        for end in (task.source, task.destination):
            if self._is_open(run, end, reads=end is task.source):
                self._proven.setdefault(run.meta.uid, set()).add(Destination.of(end))

    def _limited(self, look: _Look, task: ResolvedTask | None) -> Demand | None:
        """A run that waits for a limit and for nothing else, as far as is known."""
        run = look.run
        if look.reason != LIMIT_REACHED.name or look.at_work or run.meta.deleting or run.spec.cancel or task is None:
            return None
        ends = self._reader.ends(look.key.namespace, *(end.location for end in task.ends))
        if readiness_obstacle((end.location for end in task.ends), ends) is not None:
            return None
        return self.demand(run, task, _priority(look), begun=False)


def _priority(look: _Look) -> int:
    return look.task.spec.priority if look.task is not None else 0


def claim_of(run: Run, destination: Destination, since: datetime, *, writing: bool) -> Claim:
    """A run's claim on a destination."""
    return Claim(f"{run.meta.namespace}/{run.meta.name}", run.meta.uid, destination, writing, since)
