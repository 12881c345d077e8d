"""Events for the sink, noted in the status of their object until the sink has accepted them. Pure.

An event is noted by the same write that makes the change. So no restart loses one: whoever leads next finds it in the
status. An event is crossed out only after the sink has accepted it, so it may be sent again, with the same id.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from smbferry_api.conditions import Condition, ConditionType, find
from smbferry_api.fields import Status, format_time, parse_time
from smbferry_api.run_status import ENDED
from smbferry_api.undelivered import FIELD, MAX_UNDELIVERED, EventKind, UndeliveredEvent
from smbferry_operator.decide.decision import Decision, OwnedStatus, soonest
from smbferry_operator.decide.owned import OBSERVED, owned_names
from smbferry_operator.model import Key, Kind, Manifest

StatusT = TypeVar("StatusT", bound=Status)

KEPT_FOR_EVENTS: Final = timedelta(days=1)
"""How long the operator does not delete an ended run whose end the sink has not accepted."""
ASK_AGAIN: Final = timedelta(minutes=1)
SUMMARY: Final = frozenset({ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED})
OWN_TYPES: Final[Mapping[Kind, frozenset[ConditionType]]] = {
    Kind.IDENTITY: SUMMARY,
    Kind.LOCATION: SUMMARY,
    Kind.TASK: SUMMARY | {ConditionType.IN_SYNC, ConditionType.ON_SCHEDULE},
    Kind.RUN: frozenset({ConditionType.SUCCEEDED, ConditionType.RECONCILING, ConditionType.STALLED}),
}
"""The conditions that the operator owns."""


def undelivered(body: Manifest) -> list[UndeliveredEvent]:
    """The events that an object's status notes."""
    return list(_readable(UndeliveredEvent, ((body.get("status") or {}).get(FIELD) or ())[:MAX_UNDELIVERED]))


def event_id(uid: str, event: UndeliveredEvent) -> str:
    """The same for the same change, whoever sends it. Standard Webhooks allow no full stop."""
    if event.type is EventKind.RUN_ENDED:
        return f"{uid}_run-ended"
    return f"{uid}_ready-{str(event.ready).lower()}_{format_time(event.time).replace(':', '').replace('-', '')}"


def noted(
    key: Key,
    before: Manifest,
    decision: Decision,
    *,
    is_delivered: Callable[[str], bool],
    is_kept: Callable[[Key], bool],
) -> Decision:
    """The decision, with the events that it causes, and without those that the sink has accepted.

    Args:
        before: the object that the decision is about, as the cache has it.
        is_delivered: whether the sink has accepted the event with this id.
        is_kept: whether an ended run must not be deleted yet.
    """
    kept = [other for other in decision.delete if is_kept(other)]
    if kept:
        others = tuple(other for other in decision.delete if other not in kept)
        again = soonest(decision.requeue_after, ASK_AGAIN)
        decision = replace(decision, delete=others, requeue_after=again)
        if key in kept:
            decision = replace(decision, events=())
    if key in decision.delete:
        return decision
    uid, old = before["metadata"]["uid"], undelivered(before)
    pending = [event for event in old if not is_delivered(event_id(uid, event))]
    caused = list(_caused(key.kind, before.get("status") or {}, decision.status)) if decision.status else []
    wanted = [*pending, *caused][-MAX_UNDELIVERED:]
    if decision.status is None and wanted == old:
        return decision
    status = decision.status or _as_seen(key.kind, before)
    wire = [event.model_dump(mode="json", by_alias=True, exclude_none=True) for event in wanted]
    return replace(decision, status=replace(status, fields={**status.fields, FIELD: wire or None}))


def is_kept(run: Manifest, now: datetime, is_delivered: Callable[[str], bool]) -> bool:
    """Whether an ended run must not be deleted yet, because the sink has not accepted that it ended."""
    uid, status = run["metadata"]["uid"], run.get("status") or {}
    if all(is_delivered(event_id(uid, event)) for event in undelivered(run)):
        return False
    ended = status.get("completionTime")
    return ended is not None and now - parse_time(ended) < KEPT_FOR_EVENTS


def _caused(kind: Kind, before: Manifest, status: OwnedStatus) -> Iterator[UndeliveredEvent]:
    if kind is Kind.RUN:
        over = find(status.conditions, ConditionType.SUCCEEDED)
        if status.fields.get("state") in ENDED and before.get("state") not in ENDED and over is not None:
            completed = status.fields.get("completionTime")
            time = parse_time(completed) if completed else over.last_transition_time
            yield UndeliveredEvent(type=EventKind.RUN_ENDED, time=time)
        return
    was = find(_conditions(before), ConditionType.READY)
    now = find(status.conditions, ConditionType.READY)
    if now is None or now.status == "Unknown" or (was is not None and was.status == now.status):
        return
    yield UndeliveredEvent(
        type=EventKind.READINESS_CHANGED,
        time=now.last_transition_time,
        ready=now.status,
        previous=was.status if was is not None else "Unknown",
        reason=now.reason,
    )


def _conditions(status: Manifest) -> list[Condition]:
    """The readable ones; the operator's own always are."""
    return list(_readable(Condition, status.get("conditions") or ()))


def _readable(model: type[StatusT], entries: Iterable[Any]) -> Iterator[StatusT]:
    """Agents and newer versions write to a status, too: what cannot be read is passed over."""
    for entry in entries:
        try:
            yield model.model_validate(entry, extra="ignore")
        except ValidationError:
            continue


def _as_seen(kind: Kind, body: Manifest) -> OwnedStatus:
    """All that the operator owns of a status, as it is: what an apply leaves out is given up."""
    status = body.get("status") or {}
    fields: dict[str, Any] = {name: status.get(name) for name in (*owned_names(kind, status), OBSERVED)}
    if kind is Kind.RUN:  # it has ended: the operator may have said why it failed, and no agent writes any more
        fields["failure"] = status.get("failure")
    return OwnedStatus(tuple(c for c in _conditions(status) if c.type in OWN_TYPES[kind]), fields)
