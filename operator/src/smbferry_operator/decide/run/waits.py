"""What a run waits for before one of its agents starts. Each rule is independent; the lists give the order."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from smbferry_api.queue_status import QueueStatus
from smbferry_api.reasons import (
    IDENTITY_CHECK_AWAITED,
    IDENTITY_NOT_FOUND,
    LIMIT_REACHED,
    RUN_QUEUED,
    SPEC_INVALID,
    WINDOW_CLOSED,
    Reason,
)
from smbferry_api.run import ResolvedTask
from smbferry_api.windows import Window, problem_of, state_at
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.observation import Claim, RunObservation
from smbferry_operator.decide.resolve import readiness_obstacle
from smbferry_operator.decide.text import with_remedy

POLL_QUEUE: Final = timedelta(seconds=30)
POLL_END: Final = timedelta(seconds=2)
PER_PLACE: Final = timedelta(seconds=2)
LONGEST_POLL: Final = timedelta(minutes=10)
LONGEST_SLEEP: Final = timedelta(hours=1)  # a wall clock may be set, a timer is not
ACCOUNT_PATIENCE: Final = timedelta(seconds=20)  # no longer: that other run may be unable to start


@dataclass(frozen=True, slots=True)
class Start:
    """An agent that a run wants to start."""

    seen: RunObservation
    task: ResolvedTask
    """The run's snapshot."""
    now: datetime
    to_check: tuple[str, ...]
    """Identities whose keys a check must try first."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Why the agent does not start yet."""

    reason: Reason
    message: str
    requeue_after: timedelta = POLL_QUEUE
    checks: tuple[str, ...] = ()
    """Identities that are checked now because the run waits for them."""
    queue: QueueStatus | None = None


def earlier_agent(start: Start) -> Wait | None:
    """An agent of this run may still be alive, on a node that is out of reach, too."""
    if any(pod.living for pod in start.seen.pods):
        return Wait(RUN_QUEUED, "Waiting for an earlier agent of this run to end.")
    return None


def window(start: Start) -> Wait | None:
    """The windows of the task are closed, or can never work: a mistake in an edit costs no run that waits.

    Such a run has no place in the queue of its destination.
    """
    windows = _windows(start)
    if not windows:
        return None
    if problem := problem_of(windows):
        return Wait(SPEC_INVALID, with_remedy(f"{problem}.", SPEC_INVALID))
    state = state_at(windows, start.now)
    if not state.closed:
        return None
    left = state.until - start.now if state.until else LONGEST_SLEEP
    begun = bool(start.seen.jobs)
    message = f"Paused: windows are closed {state.lasts}." if begun else f"Windows are closed {state.lasts}."
    return Wait(WINDOW_CLOSED, with_remedy(message, WINDOW_CLOSED), min(left, LONGEST_SLEEP))


def locations(start: Start) -> Wait | None:
    """A location is not Ready, or an identity of the snapshot does not exist."""
    seen, task = start.seen, start.task
    if not_ready := readiness_obstacle((end.location for end in task.ends), seen.ends):
        return Wait(not_ready.reason, not_ready.advice)
    gone = next((name for name in task.identity_names if name not in seen.all_identities), None)
    if gone is None:
        return None
    message = f"There is no KerberosIdentity {gone} in this namespace."
    return Wait(IDENTITY_NOT_FOUND, with_remedy(message, IDENTITY_NOT_FOUND))


def other_writer(start: Start) -> Wait | None:
    """Another run writes to the destination, or has been queued for it for longer."""
    other = _first(_ahead(start)) if start.seen.run.spec.writes else None
    return _behind(other, start.task) if other else None


def active_writer(start: Start) -> Wait | None:
    """Another run writes to the destination. Between the stages of a run, one that is only queued does not count."""
    other = _first(_ahead(start))
    return _behind(other, start.task) if other and other.writing else None


def limits(start: Start) -> Wait | None:
    """As many agents work as are permitted, or the room is for a run that comes first."""
    full = start.seen.standing.full if start.seen.standing else None
    if full is None:
        return None
    # Whoever may go is woken. So that thousands of runs are not written again and again, one that has its turn later
    # tells its place less often.
    again = min(max(POLL_QUEUE, full.position * PER_PLACE), LONGEST_POLL)
    windows = _windows(start)
    closes = state_at(windows, start.now).until if windows else None
    if closes is not None:  # it leaves the line when its windows close, so that no room is kept for it
        again = min(again, closes - start.now)
    queue = QueueStatus(position=full.position, length=full.length, waiting_for=full.waiting_for)
    return Wait(LIMIT_REACHED, full.message, again, queue=queue)


def account(start: Start) -> Wait | None:
    """Another run tries a key of the same account: a domain counts wrong keys of all identities together."""
    used_at = start.seen.account_used_at
    if used_at is None or start.now - used_at >= ACCOUNT_PATIENCE:
        return None
    message = "Waiting for another run to try a key of the same account: the domain counts wrong keys per account."
    return Wait(RUN_QUEUED, message, POLL_END)


def key_doubt(start: Start) -> Wait | None:
    """A key is in doubt, so one check tries it before all agents do."""
    if not start.to_check:
        return None
    names = " and ".join(start.to_check)
    message = f"Waiting for a check of KerberosIdentity {names} to try the key before any agent does."
    return Wait(IDENTITY_CHECK_AWAITED, message, checks=start.to_check)


Rule = Callable[[Start], Wait | None]

WAITS: Final[tuple[Rule, ...]] = (earlier_agent, window, locations, other_writer, limits, account, key_doubt)
"""Before a run's first agent. A key is tried last: each try counts, so nothing else may delay the run afterwards."""
STAGE_WAITS: Final[tuple[Rule, ...]] = (window, active_writer, limits)
"""Before the finish, or the only agent that follows a survey."""
SHARD_WAITS: Final[tuple[Rule, ...]] = (window, active_writer, locations, limits, key_doubt)
"""Before the shards: many agents at once, each with the same keys."""


def first_wait(rules: Iterable[Rule], start: Start) -> Wait | None:
    """The first rule's answer that is not None."""
    return next((wait for rule in rules if (wait := rule(start))), None)


def _windows(start: Start) -> Sequence[Window]:
    """The windows that hold for the run: those of its task now, or of the snapshot while these cannot be used."""
    if start.seen.run.spec.ignore_windows:
        return ()
    task = start.seen.task
    windows = task.spec.windows if task is not None and task.meta.uid == start.task.uid else start.task.windows
    return start.task.windows if windows and problem_of(windows) else windows


def _ahead(start: Start) -> list[Claim]:
    mine = (start.seen.run.meta.created, start.seen.run.meta.uid)
    here = Destination.of(start.task.destination)
    others = (claim for claim in start.seen.claims if claim.destination.collides(here))
    return [claim for claim in others if claim.writing or (claim.since, claim.run_uid) < mine]


def _first(claims: Iterable[Claim]) -> Claim | None:
    """A writer first, then whoever has been queued for longest."""
    return min(claims, key=lambda claim: (not claim.writing, claim.since, claim.run_uid), default=None)


def _behind(other: Claim, task: ResolvedTask) -> Wait:
    """Names the run, and where its destination has another name, how it is known to be the same server."""
    verb = "writes to" if other.writing else "waits for"
    where = other.destination
    is_alias = where.is_alias(Destination.of(task.destination))
    alias = f" (the same server by its ServerGuid, {where.guid})" if is_alias else ""
    return Wait(RUN_QUEUED, f"Queued behind TransferRun {other.holder}, which {verb} {where}{alias}.")
