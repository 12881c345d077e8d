"""A fleet of identities with locations, checked for simulated hours: the operator's decisions, and agents that do
nothing but take their time. Nothing sleeps.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.support.builders import (
    IDENTITY_GOOD,
    LOCATION_GOOD,
    NOW,
    SETTINGS,
    checks,
    identity,
    location_body,
    ready,
)

from smbferry_api.agent_contract import LOCATION_SECONDS, LOCATIONS_AT_ONCE
from smbferry_api.conditions import Condition
from smbferry_api.location import SmbLocationStatus
from smbferry_api.rechecks import recheck_after
from smbferry_operator.decide.check import as_carried, checks_identity
from smbferry_operator.decide.fairness import ChecksUnderWay
from smbferry_operator.decide.identity import decide_identity
from smbferry_operator.decide.location import decide_location
from smbferry_operator.decide.observation import IdentityObservation, LocationObservation
from smbferry_operator.model import Identity, Job, Key, Kind, Location
from smbferry_operator.parse import parse_job, parse_location
from smbferry_operator.reconcile.wanted_checks import WantedChecks

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

    from smbferry_operator.model import Carried

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
STARTS = 4 * SECOND
"""From a Job to its agent's first line."""
OURS = {"Ready", "Reconciling", "Stalled"}


def _conditions(*told: dict[str, Any]) -> tuple[Condition, ...]:
    return tuple(map(Condition.model_validate, told))


WELL = _conditions(*checks(LOCATION_GOOD))
AWAY = _conditions(*checks(LOCATION_GOOD, ServerReachable=("False", "DeadlineExceeded")))
READY = _conditions(ready())
INTERVAL = 3600


@dataclass
class Fleet:
    """All that there is, by name."""

    now: datetime = NOW
    jobs: list[Job] = field(default_factory=list)
    """All that were ever made, as they were made."""
    verdicts: dict[str, list[datetime]] = field(default_factory=dict)
    """When each location got one."""
    hanging: set[str] = field(default_factory=set)
    _identities: dict[str, Identity] = field(default_factory=dict)
    _places: dict[str, Location] = field(default_factory=dict)
    _at_work: dict[str, list[Job]] = field(default_factory=dict)
    _due: dict[Key, datetime] = field(default_factory=dict)
    _failing: dict[str, datetime] = field(default_factory=dict)
    _carried: dict[str, dict[str, Carried]] = field(default_factory=dict)
    _wanted: WantedChecks = field(default_factory=WantedChecks)
    _events: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def add_identity(self, name: str, checked: datetime) -> None:
        """An identity that was checked then."""
        due = checked + INTERVAL * SECOND
        status = {"conditions": [*checks(IDENTITY_GOOD), ready()], "observedGeneration": 1}
        times = {"lastCheckTime": checked.isoformat(), "nextCheckTime": due.isoformat()}
        self._identities[name] = identity(name, status | times)
        self._at_work[name] = []
        self._at(self.now, lambda: self._decide_identity(name))

    def add_location(self, name: str, of: str, checked: datetime | None = None) -> None:
        """A location that was checked then, or a new one."""
        place = parse_location(location_body(name, identity=of, created=self.now))
        if checked is not None:
            status = SmbLocationStatus(
                conditions=(*WELL, *READY),
                identity_generation=1,
                observed_generation=1,
                last_check_time=checked,
                next_check_time=checked + INTERVAL * SECOND,
            )
            place = replace(place, status=status)
        self._places[name] = place
        self.verdicts[name] = [checked] if checked else []
        self._at(self.now, lambda: self._decide_location(name))

    def run(self, until: datetime) -> None:
        """Lets the time pass."""
        while self._events and self._events[0][0] <= until:
            self.now, _, happens = heapq.heappop(self._events)
            happens()
        self.now = until

    def _at(self, when: datetime, happens: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), happens))

    def _again(self, key: Key, after: timedelta, decide: Callable[[], None]) -> None:
        """Decides again after this time, or earlier where another decision comes first."""
        when = self._due[key] = self.now + after

        def unless_replaced() -> None:
            if self._due[key] == when:
                decide()

        self._at(when, unless_replaced)

    def _decide_location(self, name: str) -> None:
        place = self._places[name]
        owner = place.spec.identity_ref.name
        views = [
            as_carried(job, carried)
            for job in self._at_work[owner]
            if (carried := self._carried[job.meta.name].get(name)) is not None
        ]
        seen = LocationObservation(place, self._identities[owner], tuple(views))
        decision = decide_location(seen, self.now, SETTINGS)
        if decision.status is not None:
            told = (c for c in place.status.conditions if c.type not in OURS)
            conditions = (*told, *decision.status.conditions)
            self._places[name] = replace(place, status=place.status.model_copy(update={"conditions": conditions}))
        self._wanted.note(Key(Kind.LOCATION, "team", name), decision.check)
        if decision.check is None:
            return
        if decision.check.due_at <= self.now:
            self._decide_identity(owner)
        else:
            key = Key(Kind.LOCATION, "team", name)
            self._again(key, decision.check.due_at - self.now, lambda: self._decide_location(name))

    def _decide_identity(self, name: str) -> None:
        svc, key = self._identities[name], Key(Kind.IDENTITY, "team", name)
        under_way = sum(not job.finished for jobs in self._at_work.values() for job in jobs)
        seen = IdentityObservation(
            svc, tuple(self._at_work[name]), checks=ChecksUnderWay(under_way), wanted=self._wanted.of(key)
        )
        decision = decide_identity(seen, self.now, SETTINGS)
        for body in decision.create:
            stamped = {"uid": body["metadata"]["name"], "creationTimestamp": self.now.isoformat()}
            job = parse_job(body | {"metadata": body["metadata"] | stamped})
            assert job.meta.name not in {known.meta.name for known in self._at_work[name]}
            self.jobs.append(job)
            self._at_work[name].append(job)
            self._carried[job.meta.name] = {each.name: each for each in job.load.locations} if job.load else {}
            self._at(self.now + STARTS, partial(self._agent, name, job))
        if decision.requeue_after is not None:
            self._again(key, decision.requeue_after, lambda: self._decide_identity(name))

    def _agent(self, name: str, job: Job) -> None:
        began = self.now.replace(microsecond=0)
        if checks_identity(job):
            self._at(self.now + SECOND, lambda: self._report_identity(name, began))
        free = [self.now + SECOND] * LOCATIONS_AT_ONCE
        for carried in job.load.locations if job.load else ():
            start = heapq.heappop(free)
            end = start + (LOCATION_SECONDS * SECOND if carried.name in self.hanging else SECOND)
            heapq.heappush(free, end)
            self._at(end, partial(self._report, carried, start))
        self._at(max(free) + SECOND, lambda: self._end(name, job))

    def _report_identity(self, name: str, began: datetime) -> None:
        svc = self._identities[name]
        times = {"last_check_time": began, "next_check_time": began + INTERVAL * SECOND}
        self._identities[name] = replace(svc, status=svc.status.model_copy(update=times))
        self._decide_identity(name)

    def _report(self, carried: Carried, start: datetime) -> None:
        name, began = carried.name, start.replace(microsecond=0)
        place = self._places[name]
        hangs = name in self.hanging
        told = (*(AWAY if hangs else WELL), *(c for c in place.status.conditions if c.type in OURS))
        failing = self.now - self._failing.setdefault(name, self.now) if hangs else timedelta(0)
        again = began + (recheck_after(failing) if hangs else INTERVAL * SECOND)
        times = {"last_check_time": began, "next_check_time": again, "identity_generation": 1, "conditions": told}
        self._places[name] = replace(place, status=place.status.model_copy(update=times))
        self.verdicts[name].append(self.now)
        self._decide_location(name)

    def _end(self, name: str, job: Job) -> None:
        ended = replace(job, complete=True, finished_at=self.now)
        self._at_work[name] = [ended if one is job else one for one in self._at_work[name]]
        self._at(self.now + 300 * SECOND, lambda: self._at_work[name].remove(ended))
        for carried in job.load.locations if job.load else ():
            if carried.name in self.hanging:
                self._decide_location(carried.name)
        self._decide_identity(name)


def out_of_step(identities: int, places: int, chance: random.Random) -> Fleet:
    """A fleet whose checks were made at any time within the last hour, each by itself."""
    fleet = Fleet()

    def some_time_ago() -> datetime:
        return NOW - chance.randrange(INTERVAL) * SECOND

    for number in range(identities):
        owner = f"svc-{number:03}"
        fleet.add_identity(owner, some_time_ago())
        for each in range(places):
            fleet.add_location(f"{owner}-{each:03}", owner, some_time_ago())
    return fleet


def made_in(jobs: Iterable[Job], hour: int) -> list[Job]:
    """The Jobs made in that hour, from 0."""
    return [job for job in jobs if NOW + hour * HOUR <= job.meta.created < NOW + (hour + 1) * HOUR]
