"""A reconciler with a cluster in memory: what one decision writes, the next one sees."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from tests.support.builders import (
    IDENTITY_GOOD,
    LOCATION_GOOD,
    NOW,
    SETTINGS,
    agent_body,
    checks,
    identity_body,
    location_body,
    ready,
    task_body,
)

from smbferry_api.fields import format_time
from smbferry_operator.cluster.apply import Applier
from smbferry_operator.cluster.client import Cluster
from smbferry_operator.cluster.errors import AlreadyExistsError, NotFoundError
from smbferry_operator.decide.naming import ANNOTATION_CHECK_INPUTS
from smbferry_operator.model import OWN_KINDS, Key, Kind, Manifest
from smbferry_operator.observe.cache import Cache
from smbferry_operator.parse import parse_job
from smbferry_operator.reconcile.reconciler import Reconciler
from smbferry_operator.watch.event_router import EventRouter

if TYPE_CHECKING:
    from smbferry_operator.decide.decision import Event


OURS = {"Ready", "Reconciling", "Stalled", "Succeeded", "InSync"}
TASK = Key(Kind.TASK, "team", "nightly")
KNOWN = (Kind.TASK, task_body(status={"observedTrigger": ""}))
"""The task of a run, which makes none by itself now."""


class Memory:
    """As much of an API server as the applier speaks to."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Manifest] = {}
        self.version = 100
        self.refuse: dict[str, Exception] = {}
        self.begun: list[str] = []
        self.done: list[str] = []
        """Kinds that were applied, in order."""
        self.applied: dict[Key, Manifest] = {}
        """Statuses as they were applied last: what one leaves out is given up."""
        self.deleted: list[tuple[Key, str]] = []

    async def create(self, body: Manifest) -> Manifest:
        await asyncio.sleep(0)
        if body["kind"] in self.refuse:
            raise self.refuse[body["kind"]]
        key = (body["kind"], body["metadata"]["name"])
        if key in self.objects:
            raise AlreadyExistsError("exists")
        self.objects[key] = self.stamped(body)
        return self.objects[key]

    async def apply(self, body: Manifest) -> Manifest:
        self.begun.append(body["kind"])
        await asyncio.sleep(0)
        self.done.append(body["kind"])
        self.objects[body["kind"], body["metadata"]["name"]] = body
        return body

    async def apply_status(self, key: Key, uid: str, status: Manifest, _version: str) -> Manifest:
        await asyncio.sleep(0)
        known = self.objects[key.kind.value, key.name]
        if known["metadata"]["uid"] != uid:
            raise NotFoundError("another object has this name")
        if "status" in self.refuse:
            raise self.refuse["status"]
        given_up = self.applied.get(key, {}).keys() - status.keys()
        known["status"] = {name: value for name, value in known.get("status", {}).items() if name not in given_up}
        self.applied[key] = status
        others = [c for c in known.get("status", {}).get("conditions", []) if c["type"] not in OURS]
        merged = {**known.get("status", {}), **status, "conditions": [*others, *status["conditions"]]}
        body = self.stamped(known) | {"status": merged}
        self.objects[key.kind.value, key.name] = body
        return body

    async def get(self, kind: str, _namespace: str, name: str) -> Manifest:
        await asyncio.sleep(0)
        return self.objects[kind, name]

    async def delete(self, key: Key, uid: str = "") -> None:
        await asyncio.sleep(0)
        self.deleted.append((key, uid))
        self.objects.pop((key.kind.value, key.name), None)

    def stamped(self, body: Manifest) -> Manifest:
        self.version += 1
        meta = {"uid": f"uid-{body['metadata']['name']}", "creationTimestamp": format_time(NOW), **body["metadata"]}
        return {**body, "metadata": {**meta, "resourceVersion": str(self.version)}}

    def of(self, kind: str) -> list[Manifest]:
        return [body for (k, _), body in self.objects.items() if k == kind]


class World:
    """A reconciler with all that it needs."""

    def __init__(self, *bodies: tuple[Kind, Manifest], is_delivered: Callable[[str], bool] | None = None) -> None:
        self.memory = Memory()
        self.now = NOW
        self.rounds = 50
        """After how many the world should be settled."""
        self.cache = Cache()
        self.queued: list[Key] = []
        self.router = EventRouter(self.cache, self.enqueue)
        self.events: list[Event] = []
        applier = Applier(cast(Cluster, self.memory), self.router.seen, lambda _key, _about, e: self.events.append(e))
        self.reconciler = Reconciler(
            self.cache, applier, SETTINGS, self.enqueue, lambda: self.now, is_delivered=is_delivered
        )
        for kind, body in bodies:
            self.takes(kind, body)

    def takes(self, kind: Kind, body: Manifest) -> None:
        """The object is there."""
        self.memory.objects[kind.value, body["metadata"]["name"]] = body
        self.cache.put(kind, body)

    def tell(self, body: Manifest, status: dict[str, Any]) -> None:
        """The object has this status now, and the operator hears of it."""
        told = self.memory.stamped(body) | {"status": {**body.get("status", {}), **status}}
        self.memory.objects[body["kind"], body["metadata"]["name"]] = told
        self.router.seen(Kind(body["kind"]), told)

    def enqueue(self, key: Key) -> None:
        """Each key once, as the work queue has it."""
        if key not in self.queued:
            self.queued.append(key)

    def settle(self, *keys: Key) -> None:
        """Works until nothing is queued."""

        async def work() -> None:
            self.queued += keys
            for _ in range(self.rounds):
                if not self.queued:
                    return
                await self.reconciler.reconcile(self.queued.pop(0))
            raise AssertionError(f"never settles: {self.queued}")

        asyncio.run(work())

    def ends_well(self, moment: datetime, **verdicts: tuple[str, str]) -> None:
        """The identity's check under way ends with a report: of health, but for these verdicts."""
        (job,) = (job for job in self.memory.of("Job") if not job.get("status"))
        known = self.memory.objects["KerberosIdentity", "svc"]
        ours = [c for c in known["status"]["conditions"] if c["type"] in OURS]
        told = {"conditions": [*checks(IDENTITY_GOOD, verdicts), *ours], "lastCheckTime": format_time(moment)}
        over = {"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": format_time(moment)}]}
        for kind, body in (
            (Kind.IDENTITY, self.memory.stamped(known) | {"status": {**known["status"], **told}}),
            (Kind.JOB, self.memory.stamped(job) | {"status": over}),
        ):
            self.memory.objects[kind.value, body["metadata"]["name"]] = body
            self.router.seen(kind, body)

    def look_at_all(self) -> None:
        """Each object once, as after a start."""

        async def work() -> None:
            for key in self.cache:
                if key.kind in OWN_KINDS:
                    await self.reconciler.reconcile(key)

        asyncio.run(work())

    def at_once(self, *keys: Key) -> None:
        """All of them at the same time."""

        async def work() -> None:
            await asyncio.gather(*(self.reconciler.reconcile(key) for key in keys))

        asyncio.run(work())


def agents(world: World) -> list[str]:
    """What the agents of the Jobs that the operator made are to do."""
    pods = [body["spec"]["template"]["spec"] for body in world.memory.of("Job")]
    return sorted(pod["containers"][0]["args"][0] for pod in pods if "args" in pod["containers"][0])


def carried(world: World) -> list[str]:
    """The locations that the Jobs of checks carry, in the order of the Jobs."""
    loads = (parse_job(job).load for job in world.memory.of("Job"))
    return [location.name for load in loads if load for location in load.locations]


def good(states: dict[str, str], **more: Any) -> dict[str, Any]:
    soon = NOW + timedelta(hours=1)
    return {"conditions": [*checks(states), ready()], "nextCheckTime": format_time(soon), **more}


def settled(proven_at: datetime = NOW) -> list[tuple[Kind, Manifest]]:
    """An identity whose check has ended, and the two locations that use it."""
    over = {"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": format_time(proven_at)}]}
    check = agent_body(Kind.JOB, "check", (Kind.IDENTITY, "svc", "uid-svc"), status=over, created=proven_at)
    check["metadata"]["annotations"][ANNOTATION_CHECK_INPUTS] = "1"
    return [
        (Kind.IDENTITY, identity_body(status=good(IDENTITY_GOOD, lastCheckTime=format_time(proven_at)))),
        (Kind.JOB, check),
        (Kind.LOCATION, location_body("src", good(LOCATION_GOOD, identityGeneration=1))),
        (Kind.LOCATION, location_body("dst", good(LOCATION_GOOD, identityGeneration=1))),
    ]
