"""A run whose agents work in the namespace of its task's locations: it asks for a serving run and copies its status."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from smbferry_api.conditions import ConditionType, find
from smbferry_api.fields import format_time
from smbferry_api.reasons import (
    LOCATION_NOT_SHARED,
    RUN_CANCELLED,
    RUN_FAILED,
    RUN_NOT_CREATED,
    RUN_QUEUED,
    SERVED_ELSEWHERE,
    SERVING_RUN_REMOVED,
    SPEC_INVALID,
    Reason,
    by_name,
)
from smbferry_api.run_status import RunFailure, RunState
from smbferry_api.sharing import ServingRun
from smbferry_operator.decide.decision import Decision, OwnedStatus
from smbferry_operator.decide.observation import RequestObservation
from smbferry_operator.decide.owned import COPIED, RequestFields
from smbferry_operator.decide.run.end import End, failed
from smbferry_operator.decide.run.expiry import expire
from smbferry_operator.decide.run.status import RUN_TYPES, end_event, ended_conditions, unfinished_conditions
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.decide.sharing import not_shared, serving_name, serving_run, unservable
from smbferry_operator.decide.status import changed
from smbferry_operator.decide.text import with_remedy
from smbferry_operator.model import Manifest, Run

GRACE: Final = timedelta(minutes=1)
"""How long a run waits for locations to be shared: manifests are applied in any order."""
POLL: Final = timedelta(seconds=30)
TOLD: Final = frozenset({"phases", "counters", "progress", "report", "startTime", "completionTime", "duration"})
"""Fields that everybody may see who may use the locations. All others are told in part, or not at all."""
TOLD_IN_PART: Final = {"sourceSnapshot": ("time",), "retry": ("files", "attempt", "attempts", "nextTime")}
PLACES: Final = frozenset({"source", "destination", "sourceId", "destinationId", "changes"})
"""Fields of a plan that name servers and folders."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the status of the run says."""

    state: RunState
    reason: Reason
    message: str
    fields: Manifest
    """The copied fields, by their names in the API."""


def decide_request(seen: RequestObservation, now: datetime, settings: AgentSettings) -> Decision:
    """What to do about a run that another run serves."""
    run = seen.run
    if run.meta.deleting:
        return Decision()
    if run.status.state and run.status.state.ended:
        return expire(run, now, settings)
    if seen.serving is not None:
        return _copy(seen, seen.serving, now)
    if run.status.served_by is not None:
        return _end(seen, failed(SERVING_RUN_REMOVED, SERVING_RUN_REMOVED.when), now)
    if run.spec.cancel:
        return _end(seen, End(RunState.CANCELLED, RUN_CANCELLED, "The run was cancelled before it started."), now)
    return _ask(seen, now, settings)


def _ask(seen: RequestObservation, now: datetime, settings: AgentSettings) -> Decision:
    """Creates the serving run, waits, or ends the run because it can never have one."""
    run, given = seen.run, seen.given
    if given.refused:
        message = not_shared(given, run.meta.namespace)
        if now - run.meta.created >= GRACE:
            return _end(seen, failed(LOCATION_NOT_SHARED, message), now)
        return _wait(seen, LOCATION_NOT_SHARED, with_remedy(message, LOCATION_NOT_SHARED), GRACE, now)
    if seen.task is not None and (problem := unservable(seen.task, given.namespace)):
        return _end(seen, failed(SPEC_INVALID, problem), now)
    if seen.refusal is not None:
        message = f"Kubernetes refused a TransferRun in namespace {given.namespace}."
        if seen.refusal.lasts(now) >= settings.start_deadline and not seen.refusal.room:
            return _end(seen, failed(RUN_NOT_CREATED, message), now)
        return _wait(seen, RUN_NOT_CREATED, message, seen.refusal.again_in(now), now)
    message = f"The run's agents work in namespace {given.namespace}."
    decision = _unfinished(seen, Told(RunState.QUEUED, SERVED_ELSEWHERE, message, {}), POLL, now, asked=True)
    return Decision(create=(serving_run(run, given.namespace),), status=decision.status, requeue_after=POLL)


def _wait(seen: RequestObservation, reason: Reason, message: str, again: timedelta, now: datetime) -> Decision:
    return _unfinished(seen, Told(RunState.QUEUED, reason, message, {}), again, now)


def _copy(seen: RequestObservation, serving: Run, now: datetime) -> Decision:
    """The status of the serving run, as far as it may be told."""
    status = serving.status
    state = status.state or RunState.QUEUED
    fields = _copied(seen, serving)
    said = find(status.conditions, ConditionType.SUCCEEDED)
    reason = (by_name(said.reason) if said else None) or (RUN_FAILED if state.ended else RUN_QUEUED)
    if not state.ended:
        message = said.message if said and seen.given.details else reason.when
        return _unfinished(seen, Told(state, reason, message, fields), None, now, asked=True)
    withdrawn = bool(seen.given.refused) and not seen.run.spec.cancel and state is RunState.CANCELLED
    if withdrawn:
        return _end(seen, failed(LOCATION_NOT_SHARED, not_shared(seen.given, seen.run.meta.namespace)), now, fields)
    message = said.message if said and seen.given.details else with_remedy(reason.when, reason)
    if state is not RunState.FAILED:
        return _end(seen, End(state, reason, message), now, fields)
    told = status.failure.message if status.failure and seen.given.details else reason.when
    return _end(seen, failed(reason, told, failure_class=status.failure.class_ if status.failure else ""), now, fields)


def _copied(seen: RequestObservation, serving: Run) -> Manifest:
    """The fields that are copied, by their names in the API."""
    wire = serving.status.model_dump(mode="json", by_alias=True, exclude_none=True)
    found = {name: wire[name] for name in COPIED if wire.get(name)}
    return found if seen.given.details else {name: _discreet(name, value) for name, value in found.items()}


def _discreet(name: str, value: Any) -> Any:
    """A field without names of files, accounts and servers, and without texts that may contain them."""
    if name in TOLD:
        return value
    if name in TOLD_IN_PART:
        return _pick(value, *TOLD_IN_PART[name])
    match name:
        case "notCarried":
            return [_pick(each, "what", "count") for each in value]
        case "security":
            return {side: _pick(each, "dialect", "cipher") for side, each in value.items()}
        case "plan":
            return {each: _without_paths(item) for each, item in value.items() if each not in PLACES}
    return None


def _without_paths(item: Any) -> Any:
    return {name: value for name, value in item.items() if name != "paths"} if isinstance(item, dict) else item


def _pick(value: Manifest, *names: str) -> Manifest:
    return {name: value[name] for name in names if name in value}


# --- The status ------------------------------------------------------------------------------------------------------


def _fields(
    seen: RequestObservation, state: RunState, copied: Manifest, *, asked: bool, failure: RunFailure | None = None
) -> Manifest:
    """All that the operator owns.

    Args:
        asked: whether there is a serving run.
    """
    run = seen.run
    served_by = (
        ServingRun(namespace=seen.given.namespace, name=serving_name(run.meta)) if asked else run.status.served_by
    )
    own = RequestFields(run.meta.generation, state, served_by, failure)
    return {**dict.fromkeys(COPIED), **copied, **own.as_wire()}


def _unfinished(
    seen: RequestObservation, told: Told, again: timedelta | None, now: datetime, *, asked: bool = False
) -> Decision:
    run = seen.run
    conditions = unfinished_conditions(run, told.reason, told.message, now)
    status = OwnedStatus(conditions, _fields(seen, told.state, told.fields, asked=asked))
    new = changed(run.status, run.status.conditions, status, RUN_TYPES)
    return Decision(status=status if new else None, requeue_after=again)


def _end(seen: RequestObservation, end: End, now: datetime, copied: Manifest | None = None) -> Decision:
    told = {"completionTime": format_time(now), **(copied or {})}
    fields = _fields(seen, end.state, told, asked=seen.serving is not None, failure=end.failure)
    return Decision(status=OwnedStatus(ended_conditions(seen.run, end, now), fields), events=(end_event(end),))
