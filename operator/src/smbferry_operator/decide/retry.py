"""spec.retry of a task: further runs after one that failed for a reason that may be temporary (ADR 44).

A further run has the name of the first one and its number, and names the first one in an annotation, so that it is
created once. Runs that a person created are not retried, and end the retries of an earlier run.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from smbferry_api.fields import format_time, parse_duration
from smbferry_api.names import ANNOTATION_RETRY, ANNOTATION_RETRY_OF, ANNOTATION_SCHEDULED_AT
from smbferry_api.reasons import RUN_RETRIED
from smbferry_api.run_status import RunState
from smbferry_api.task import Retry, TaskRetryStatus
from smbferry_operator.decide.decision import Event
from smbferry_operator.decide.history import is_of
from smbferry_operator.decide.naming import HASH_LENGTH, short_hash
from smbferry_operator.decide.new_run import MAX_NAME, run_manifest
from smbferry_operator.decide.observation import TaskObservation
from smbferry_operator.decide.status import failure_of, is_permanent
from smbferry_operator.model import Manifest, Run


@dataclass(frozen=True, slots=True)
class FurtherRun:
    """A run that is to follow a failed one."""

    after: Run
    first: str
    """The run that failed first."""
    number: int
    limit: int
    at: datetime

    @property
    def name(self) -> str:
        """Its name, the same whenever this is decided."""
        tail = f"-r{self.number}"
        if len(self.first) + len(tail) <= MAX_NAME:
            return f"{self.first}{tail}"
        stem = self.first[: MAX_NAME - len(tail) - 1 - HASH_LENGTH].rstrip("-.")
        return f"{stem}-{short_hash(self.first)}{tail}"

    def build(self, seen: TaskObservation) -> Manifest:
        """Its manifest."""
        notes = {ANNOTATION_RETRY_OF: self.first, ANNOTATION_RETRY: str(self.number)}
        return run_manifest(seen.task, self.name, notes)

    @property
    def event(self) -> Event:
        """The Event that tells of it."""
        failure = self.after.status.failure
        why = f" ({failure.reason})" if failure else ""
        text = (
            f"TransferRun {self.after.meta.name} failed{why}; {self.name} is further run {self.number} of {self.limit}."
        )
        return Event("Normal", RUN_RETRIED, text)


def further_run(seen: TaskObservation) -> FurtherRun | None:
    """The run that is to follow the task's newest one, None if none is."""
    retry, newest = seen.task.spec.retry, _newest(seen)
    if newest is None or newest.status.state is not RunState.FAILED or not _may_pass(newest):
        return None
    if newest.meta.controller_uid != seen.task.meta.uid or any(_goes_on(run) for run in seen.runs):
        return None
    first, number = place_of(newest)
    if number >= retry.limit or _existed(seen, first) > number or _superseded(seen, newest):
        return None
    ended = newest.status.completion_time or newest.meta.created
    return FurtherRun(newest, first, number + 1, retry.limit, ended + _delay(retry, number))


def _existed(seen: TaskObservation, first: str) -> int:
    """How many runs have followed this one by the task's status: a person may have deleted some of them since."""
    noted = seen.task.status.retry
    if noted is None or noted.run != first:
        return 0
    return noted.attempt - (noted.next_time is not None)


def _superseded(seen: TaskObservation, run: Run) -> bool:
    """Whether a later run of the schedule has existed, which a person has deleted."""
    at, last = run.meta.annotations.get(ANNOTATION_SCHEDULED_AT), seen.task.status.last_schedule_time
    return at is not None and last is not None and at != format_time(last)


def place_of(run: Run) -> tuple[str, int]:
    """The run that failed first, and how many runs have followed it up to this one."""
    notes = run.meta.annotations
    first, number = notes.get(ANNOTATION_RETRY_OF, ""), notes.get(ANNOTATION_RETRY, "")
    if first and number.isascii() and number.isdecimal() and len(number) <= 2:  # noqa: PLR2004 - the limit is 10
        return first, int(number)
    return run.meta.name, 0


def retry_status(seen: TaskObservation, planned: FurtherRun | None, *, created: bool) -> TaskRetryStatus | None:
    """status.retry of the task.

    Args:
        created: whether this decision creates the planned run.
    """
    if planned is not None:
        at = None if created else planned.at
        return TaskRetryStatus(run=planned.first, attempt=planned.number, limit=planned.limit, next_time=at)
    newest = _newest(seen)
    if newest is None or newest.meta.controller_uid != seen.task.meta.uid:
        return None
    first, number = place_of(newest)
    known = max(number, _existed(seen, first))
    return TaskRetryStatus(run=first, attempt=known, limit=seen.task.spec.retry.limit) if known else None


def _newest(seen: TaskObservation) -> Run | None:
    """The task's newest run that copies, whoever created it."""
    copying = [run for run in seen.runs if run.spec.copies and is_of(run, seen.task)]
    return max(copying, key=lambda run: (run.meta.created, place_of(run)[1], run.meta.name), default=None)


def _goes_on(run: Run) -> bool:
    return run.spec.copies and not (run.status.state is not None and run.status.state.ended)


def _may_pass(run: Run) -> bool:
    """Whether another run may succeed without a change by a person."""
    failure = run.status.failure
    return failure is not None and not is_permanent(failure_of(failure.reason) or failure.class_)


def _delay(retry: Retry, number: int) -> timedelta:
    return min(parse_duration(retry.backoff) * (1 << number), parse_duration(retry.max_backoff))
