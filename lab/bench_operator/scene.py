"""What the bench puts into a cluster: thousands of tasks, locations and runs, as people and agents leave them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from lab.support.cluster.api import OWN, Api, Object, at_once
from lab.support.verdicts import IDENTITY_IS_WELL, LOCATION_IS_WELL

from smbferry_api.run import ResolvedTask
from smbferry_operator.decide.manifests.jobs import build_transfer_job
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.parse import parse_meta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AGENT, OPERATOR = "smbferry-agent", "smbferry-operator"
HOUR = 3600.0
LATER = "0 2 1 1 *"
"""A schedule that is not due while the bench runs."""
API = "smbferry.io/v1alpha1"
KEPT = "bench/kept"
"""The label of runs that have ended before the bench begins."""
HERD = "herd-"
URGENT, URGENT_EVERY = 10, 10
"""The priority of every tenth task of the herd."""


@dataclass(frozen=True)
class Size:
    """How much of everything: the numbers of the figures, or of a trial."""

    tasks: int = 5000
    herd: int = 1000
    queued: int = 5000
    kept: int = 3
    """Ended runs that each task keeps."""
    servers: int = 20
    limit: int = 4
    identities: int = 100
    locations: int = 10_000

    def scaled(self, scale: float) -> Size:
        """A smaller one. What is counted per server or per task stays."""
        return Size(
            tasks=max(self.servers, round(self.tasks * scale)),
            herd=max(2 * self.servers * self.limit, round(self.herd * scale)),
            queued=max(self.servers, round(self.queued * scale)),
            kept=self.kept,
            servers=self.servers,
            limit=self.limit,
            identities=max(2, round(self.identities * scale)),
            locations=max(40, round(self.locations * scale)),
        )

    def server(self, group: str, number: int) -> str:
        """One of a group's servers."""
        return f"{group}-{number % self.servers}.corp.example.com"


def now(**later: float) -> str:
    """The time as Kubernetes writes it."""
    return (datetime.now(UTC) + timedelta(**later)).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(type_: str, status: str, reason: str) -> Object:
    """A condition of the first generation."""
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": f"{reason}.",
        "lastTransitionTime": now(),
        "observedGeneration": 1,
    }


def checked(states: dict[str, str], again_in: float = 12 * HOUR, **more: Any) -> Object:
    """A status as an agent leaves it that found everything good."""
    conditions = [condition(type_, status, "Fine") for type_, status in states.items()]
    return {"conditions": conditions, "lastCheckTime": now(), "nextCheckTime": now(seconds=again_in), **more}


class Scene:
    """One namespace full of objects."""

    def __init__(self, api: Api, namespace: str, size: Size) -> None:
        self._api = api
        self._namespace = namespace
        self.size = size
        self.path = f"{OWN}/namespaces/{namespace}"
        self.made = 0
        """Identities, locations and tasks."""

    def make(self) -> None:
        """Identities, two locations for each task, active tasks with their ended runs; with the agents' statuses."""
        size = self.size
        pairs = [(f"{end}-{n}", size.server("work", n), n) for n in range(size.tasks) for end in ("src", "dst")]
        for group, servers in ((HERD, "herd"), ("hold-", "work")):
            ends = ((end, n) for n in range(size.servers) for end in ("src", "dst"))
            pairs += [(f"{group}{end}-{n}", size.server(servers, n), n) for end, n in ends]
        self.make_locations(pairs, HOUR)
        at_once(partial(self._task_with_runs, n) for n in range(size.tasks))
        self.made += size.tasks

    def make_locations(self, places: list[tuple[str, str, int]], check_seconds: float, **spec: Any) -> None:
        """Identities, and locations of them.

        Args:
            places: name, server, and a number that chooses the identity.
            check_seconds: the interval of checks; the next ones are spread over one.
            spec: what else the specifications say.
        """
        at_once(self._identities(check_seconds, **spec))
        at_once(
            self.location(name, server, number, check_seconds * (place + 1) / len(places), **spec)
            for place, (name, server, number) in enumerate(places)
        )
        self.made += self.size.identities + len(places)

    def _identities(self, check_seconds: float, **spec: Any) -> Iterator[Callable[[], object]]:
        for number in range(self.size.identities):
            name, soon = f"id-{number}", check_seconds * (number + 1) / self.size.identities
            body = _object(IDENTITY, name, {**identity_spec(name), **spec})
            yield partial(self._checked, IDENTITY, "kerberosidentities", body, checked(IDENTITY_IS_WELL, soon))

    def location(self, name: str, server: str, number: int, soon: float, **spec: Any) -> Callable[[], object]:
        """Creates a location that has been checked, and is checked again in so many seconds."""
        body = _object(LOCATION, name, {**location_spec(name, server, f"id-{number % self.size.identities}"), **spec})
        status = checked(LOCATION_IS_WELL, soon, identityGeneration=1)
        return partial(self._checked, LOCATION, "smblocations", body, status)

    def new_location(self, name: str, number: int, **spec: Any) -> None:
        """Creates a location that nothing has checked."""
        whole = {**location_spec(name, self.size.server("new", number), f"id-{number % self.size.identities}"), **spec}
        self.create("smblocations", _object(LOCATION, name, whole))

    def new_task(self, name: str, number: int, *, exit_code: int = 0) -> None:
        """Creates a task that starts its first run at once, at a destination of its own."""
        self.create("transfertasks", task(name, number, folder=name, exit_code=exit_code, trigger="one"))

    def create(self, plural: str, body: Object) -> Object:
        """Creates an object."""
        return self._api.request("POST", f"{self.path}/{plural}", body)

    def _checked(self, kind: str, plural: str, body: Object, status: Object) -> None:
        """As agent and operator have left it, so that nothing needs another check before its time."""
        self.create(plural, body)
        path = f"{self.path}/{plural}/{body['metadata']['name']}"
        self._api.apply_status(path, kind, status, AGENT)
        summary = {"observedGeneration": 1, "conditions": [condition("Ready", "True", "ChecksPassed")]}
        self._api.apply_status(path, kind, summary, OPERATOR)

    def _task_with_runs(self, number: int) -> None:
        """An active task, and its ended runs with their Jobs."""
        made = self.create("transfertasks", task(f"task-{number}", number, cron=LATER))
        server = self.size.server("work", number)
        snapshot = resolved(made, number, server, f"id-{number % self.size.identities}")
        for nth in range(self.size.kept):
            self._ended_run(made, snapshot, nth)

    def _ended_run(self, owner: Object, snapshot: Object, nth: int) -> None:
        """Its Job asks for no pod, so Kubernetes ends it at once."""
        name = f"{owner['metadata']['name']}-2026010{nth + 1}-0200"
        run = self.create("transferruns", run_of(owner, name, f"2026-01-0{nth + 1}T02:00:00Z"))
        job = build_transfer_job(parse_meta(run), ResolvedTask.model_validate(snapshot), 0, AGENT_SETTINGS)
        job["spec"]["completions"] = 0
        self._api.request("POST", f"/apis/batch/v1/namespaces/{self._namespace}/jobs", job)
        status = ended_status(snapshot, job["metadata"]["name"])
        self._api.apply_status(f"{self.path}/transferruns/{name}", "TransferRun", status, OPERATOR)


IDENTITY, LOCATION = "KerberosIdentity", "SmbLocation"
AGENT_SETTINGS = AgentSettings(image="smbferry-agent:dev")


def identity_spec(name: str) -> Object:
    """Of the identity of this name."""
    return {
        "principal": f"{name}@CORP.EXAMPLE.COM",
        "keytabSecretRef": {"name": f"{name}-keytab"},
        "krb5ConfigMapRef": {"name": "krb5"},
    }


def location_spec(name: str, server: str, identity: str) -> Object:
    """Of a location with the share of its name."""
    return {"server": server, "share": name, "identityRef": {"name": identity}}


def task(
    name: str,
    number: int,
    *,
    group: str = "",
    folder: str = "",
    exit_code: int = 0,
    hold: bool = False,
    trigger: str = "",
    cron: str = "",
    priority: int = 0,
) -> Object:
    """A task from the number's source to its destination, or to folders there.

    Args:
        group: of the locations.
        exit_code: with which its agents end.
        hold: its agents never end.
        trigger: of a run that starts at once.
    """
    selector = ({"exit": str(exit_code)} if exit_code else {}) | ({"hold": "true"} if hold else {})
    spec: Object = {
        "source": {"locationRef": {"name": f"{group}src-{number}"}, "path": f"/{folder}"},
        "destination": {"locationRef": {"name": f"{group}dst-{number}"}, "path": f"/{folder}"},
        "agent": {"nodeSelector": selector} if selector else {},
        "priority": priority,
    }
    spec |= ({"trigger": trigger} if trigger else {}) | ({"schedule": {"cron": cron}} if cron else {})
    return _object("TransferTask", name, spec)


def task_of_the_herd(number: int, servers: int, due: datetime) -> Object:
    """One that is due at that minute."""
    name = f"{HERD}{number}"
    cron = f"{due.minute} {due.hour} * * *"
    return task(name, number % servers, group=HERD, folder=name, cron=cron, priority=priority_of(name))


def priority_of(task_name: str) -> int:
    """The priority of a task, by its name."""
    number = task_name.removeprefix(HERD)
    return URGENT if number != task_name and int(number) % URGENT_EVERY == 0 else 0


def run_by_hand(name: str, task_name: str) -> Object:
    """A run as a person makes one."""
    return _object("TransferRun", name, {"taskRef": {"name": task_name}})


def run_of(owner: Object, name: str, scheduled_at: str) -> Object:
    """A run that a task has created, as the API server has it."""
    reference = {"apiVersion": API, "kind": "TransferTask", "name": owner["metadata"]["name"]}
    return {
        **_object("TransferRun", name, {"taskRef": {"name": owner["metadata"]["name"]}}),
        "metadata": {
            "name": name,
            "labels": {
                "app.kubernetes.io/managed-by": "smbferry-operator",
                "smbferry.io/task": owner["metadata"]["name"],
                KEPT: "true",
            },
            "annotations": {"smbferry.io/scheduled-at": scheduled_at},
            "ownerReferences": [{**reference, "uid": owner["metadata"]["uid"], "controller": True}],
        },
    }


def resolved(owner: Object, number: int, server: str, identity: str) -> Object:
    """The snapshot by which a run of the task worked."""

    def end(name: str) -> Object:
        by = {"name": identity, "generation": 1, "spec": identity_spec(identity)}
        return {
            "location": name,
            "generation": 1,
            "path": "/",
            "spec": location_spec(name, server, identity),
            "identity": by,
        }

    meta = owner["metadata"]
    ends = {"source": end(f"src-{number}"), "destination": end(f"dst-{number}")}
    whole = ResolvedTask.model_validate({"name": meta["name"], "uid": meta["uid"], **ends})
    return whole.model_dump(mode="json", by_alias=True, exclude_none=True)


def ended_status(snapshot: Object, job: str) -> Object:
    """Of a run that succeeded."""
    side = {
        "principal": f"{snapshot['source']['identity']['name']}@CORP.EXAMPLE.COM",
        "kvno": 2,
        "ticketEnctype": "aes256-cts-hmac-sha1-96",
        "dialect": "3.1.1",
        "cipher": "AES-256-GCM",
        "server": snapshot["source"]["spec"]["server"],
    }
    files = {"listed": 1000, "toTransfer": 10, "transferred": 10, "skipped": 990, "verified": 10}
    size = {"toTransfer": 123_456, "transferred": 123_456, "written": 123_456}
    phases = ("preflight", "prepare", "transfer", "verify")
    return {
        "observedGeneration": 1,
        "state": "Succeeded",
        "startTime": now(hours=-1),
        "completionTime": now(),
        "duration": "12s",
        "phases": {name: {"state": "Succeeded", "startTime": now(hours=-1), "duration": "3s"} for name in phases},
        "counters": {"files": files, "bytes": size},
        "security": {"source": side, "destination": side},
        "jobRef": job,
        "attempts": 1,
        "task": snapshot,
        "conditions": [condition("Succeeded", "True", "RunSucceeded")],
    }


def _object(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}
