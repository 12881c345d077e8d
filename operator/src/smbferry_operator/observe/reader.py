"""Parsed objects from the cache, and which Jobs and pods belong to which of them.

Whoever may write Jobs and pods in a namespace can give them any label, annotation and owner. So a Job counts only for
the object in its namespace whose uid is in its controller reference, and a pod only through its Job. What a Job is for
is read from what nobody can change: its name, and the snapshot in its containers.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, TypeVar

from smbferry_operator.decide.check import as_carried
from smbferry_operator.decide.manifests.jobs import is_transfer_job_name
from smbferry_operator.decide.observation import Ends
from smbferry_operator.decide.record import order_of, pauses_before
from smbferry_operator.model import Carried, Identity, Job, Key, Kind, Location, Manifest, Meta, Pod, Run, Task
from smbferry_operator.observe.cache import Cache
from smbferry_operator.parse import InvalidObjectError, parse_identity, parse_job, parse_location, parse_pod, parse_task

P = TypeVar("P", Identity, Location, Task, Run)
R = TypeVar("R")
REMEMBERED: Final = 500
"""How many parsed objects are kept; each is used many times before it changes."""


class Reader:
    """Reads the cache."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self._read: OrderedDict[Key, tuple[object, Any]] = OrderedDict()

    def agents(self, key: Key, owner: Meta) -> tuple[tuple[Job, ...], tuple[Pod, ...]]:
        """The Jobs and pods that work for an object."""
        found = [parse_job(body) for body in self.cache.referrers(key, Kind.JOB)]
        jobs = tuple(job for job in found if _is_job_of(job, key.kind, owner))
        names = {job.meta.name: job.meta.uid for job in jobs}
        pods = [parse_pod(body) for body in self.cache.referrers(key, Kind.POD)]
        return jobs, tuple(pod for pod in pods if self._is_pod_of(pod, names, key.kind, owner))

    def checks_of(self, location: Location, identity: Identity) -> tuple[tuple[Job, ...], tuple[Pod, ...]]:
        """The Jobs of its identity that carry a location, as they concern it, and their pods."""
        meta, owner = location.meta, Key(Kind.IDENTITY, identity.meta.namespace, identity.meta.name)
        found = [
            parse_job(body) for body in self.cache.referrers(Key(Kind.LOCATION, meta.namespace, meta.name), Kind.JOB)
        ]
        jobs = tuple(
            as_carried(job, carried)
            for job in found
            if _is_job_of(job, Kind.IDENTITY, identity.meta) and (carried := _carried_in(job, meta)) is not None
        )
        if not jobs:
            return (), ()
        names = {job.meta.name: job.meta.uid for job in jobs}
        pods = [parse_pod(body) for body in self.cache.referrers(owner, Kind.POD)]
        return jobs, tuple(pod for pod in pods if self._is_pod_of(pod, names, Kind.IDENTITY, identity.meta))

    def _is_pod_of(self, pod: Pod, jobs: dict[str, str], kind: Kind, owner: Meta) -> bool:
        """Whether the pod's Job is one of these by name and uid, or one of the run that was deleted before its pod."""
        controller = pod.meta.controller
        if controller is None or controller.kind != Kind.JOB or controller.name != pod.job:
            return False
        if controller.name in jobs:
            return controller.uid == jobs[controller.name]
        gone = self.cache.get(Key(Kind.JOB, owner.namespace, controller.name)) is None
        return (
            gone and kind is Kind.RUN and is_transfer_job_name(owner, controller.name, pauses=pauses_before(pod.meta))
        )

    def task_named(self, namespace: str, name: str) -> Task | None:
        """The task, None if it does not exist or is invalid."""
        return self.readable(Key(Kind.TASK, namespace, name), parse_task)

    def parsed(self, key: Key, parse: Callable[[Manifest], P]) -> P | None:
        """The parsed object, None if it does not exist.

        Raises:
            InvalidObjectError: its spec is invalid.
        """
        return self._remembered(key, parse)

    def _remembered(self, key: Key, read: Callable[[Manifest], R]) -> R | None:
        """The parsed object, parsed once per version. Each kind has one parser only: the key identifies the result."""
        token = self.cache.token(key)
        known = self._read.get(key)
        if known is None or known[0] is not token:
            body = self.cache.get(key)
            if body is None:
                self._read.pop(key, None)
                return None
            known = (token, read(body))
            self._read[key] = known
        self._read.move_to_end(key)
        if len(self._read) > REMEMBERED:
            self._read.popitem(last=False)
        found: R = known[1]
        return found

    def readable(self, key: Key, parse: Callable[[Manifest], P]) -> P | None:
        """The parsed object, None if it does not exist or is invalid."""
        try:
            return self.parsed(key, parse)
        except InvalidObjectError:  # reported on the object itself; for others it counts as missing
            return None

    def identity_named(self, namespace: str, name: str) -> Identity | None:
        """The identity, None if it does not exist or is invalid."""
        return self.readable(Key(Kind.IDENTITY, namespace, name), parse_identity)

    def location_named(self, namespace: str, name: str) -> Location | None:
        """The location, None if it does not exist or is invalid."""
        return self.readable(Key(Kind.LOCATION, namespace, name), parse_location)

    def ends_of_task(self, task: Task) -> Ends:
        """The task's locations with their identities."""
        return self.ends(task.meta.namespace, *task.spec.location_names)

    def ends(self, namespace: str, source: str, destination: str, report: str | None = None) -> Ends:
        """Locations by name, with their identities."""
        first, second = self.location_named(namespace, source), self.location_named(namespace, destination)
        third = self.location_named(namespace, report) if report else None
        return Ends(
            first,
            second,
            self._identity_of(first),
            self._identity_of(second),
            third,
            self._identity_of(third),
        )

    def _identity_of(self, location: Location | None) -> Identity | None:
        return self.identity_named(location.meta.namespace, location.spec.identity_ref.name) if location else None


def _carried_in(job: Job, location: Meta) -> Carried | None:
    """What the Job is to do for this location, None if it does not carry it."""
    for carried in job.load.locations if job.load else ():
        if (carried.name, carried.uid) == (location.name, location.uid):
            return carried
    return None


def _is_job_of(job: Job, kind: Kind, owner: Meta) -> bool:
    """Whether the operator made the Job for the object: by its controller; for a run by its name, too."""
    controller = job.meta.controller
    if controller is None or (controller.kind, controller.name, controller.uid) != (kind, owner.name, owner.uid):
        return False
    return kind is not Kind.RUN or is_transfer_job_name(owner, job.meta.name, *order_of(job))
