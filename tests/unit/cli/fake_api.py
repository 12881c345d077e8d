"""An API server in memory: objects, merge patches, tables, pages of two, logs and refusals. No network."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from smbferry_api.crd import KINDS
from smbferry_api.plan_status import PlanStatus, plan_digest
from smbferry_cli.arguments import parse
from smbferry_cli.cluster import TABLE, Cluster
from smbferry_cli.verbs.run import VERBS
from smbferry_cli.verbs.waiting import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from smbferry_cli.api import Request

Object = dict[str, Any]
NAMESPACE = "ferry"
PAGE = 2
KIND_OF = {kind.plural: kind.kind for kind in KINDS} | {
    "pods": "Pod", "namespaces": "Namespace", "jobs": "Job", "events": "Event",
}  # fmt: skip


class Answer:
    """An HTTP response."""

    def __init__(self, status: int, body: bytes, reason: str = "") -> None:
        self.status = status
        self.reason = reason
        self._body = body

    def read(self) -> bytes:
        return self._body

    def lines(self) -> Iterator[bytes]:
        yield from self._body.splitlines()


class FakeApi:
    """A transport.

    Args:
        objects: as they are stored.
        denied: what the user may not do: verb and resource.
    """

    def __init__(self, *objects: Object, denied: frozenset[tuple[str, str]] = frozenset()) -> None:
        self.objects = {(o["kind"], o["metadata"]["name"]): deepcopy(o) for o in objects}
        self.denied = denied
        self.asked = list[tuple[str, str, str]]()
        self.requests: list[Request] = []
        self.logs = dict[str, bytes]()
        self.figures = "smbferry_leader 1.0\n"
        """What pods expose for Prometheus."""
        self.refusal: Answer | None = None
        """What the next write is answered with."""
        self.away = 0
        """How many reads, after the first write, get no useful answer."""
        self.passes: list[Callable[[FakeApi], object]] = []
        """What happens each time the command sleeps."""

    def sleep(self, _seconds: float) -> None:
        """Lets the next thing happen.

        Raises:
            AssertionError: nothing would ever happen again.
        """
        assert self.passes, "the command waits for nothing"
        self.passes.pop(0)(self)

    def change(self, kind: str, name: str, **fields: Any) -> None:
        """Sets fields of an object's status."""
        self.objects[kind, name].setdefault("status", {}).update(fields)

    def send(self, request: Request) -> Answer:
        """Answers a request."""
        self.requests.append(request)
        self.asked.append((request.verb, request.resource, request.group))
        if (request.verb, request.resource) in self.denied:
            return status(403, "Forbidden", f'{request.resource} is forbidden: User "x" cannot {request.verb}')
        if request.verb in {"create", "patch"} and self.refusal:
            return self.refusal
        if self.away and request.verb == "get" and ("patch", request.resource, request.group) in self.asked:
            self.away -= 1
            return status(503, "ServiceUnavailable", "restarting")
        texts = {
            "version": b'{"gitVersion": "v1.34.0"}',
            "pods/proxy": self.figures.encode(),
            "pods/log": self.logs.get(request.name),
        }
        if request.resource in texts:
            found = texts[request.resource]
            return missing(request) if found is None else Answer(200, found)
        return {"get": self._get, "list": self._list, "create": self._create, "patch": self._patch}[request.verb](
            request
        )

    def close(self) -> None: ...

    def _get(self, request: Request) -> Answer:
        found = self.objects.get((KIND_OF[request.resource], request.name))
        if found is None:
            return missing(request)
        return answer(table([found])) if request.accept == TABLE else answer(found)

    def _list(self, request: Request) -> Answer:
        wanted = KIND_OF[request.resource]
        found = [o for (kind, _), o in sorted(self.objects.items()) if kind == wanted and _is_asked(o, request)]
        begin = int(request.query.get("continue", 0))
        page, rest = found[begin : begin + PAGE], found[begin + PAGE :]
        metadata = {"continue": str(begin + PAGE)} if rest else {}
        if request.accept == TABLE:
            return answer({**table(page), "metadata": metadata})
        return answer({"metadata": metadata, "items": [{k: v for k, v in o.items() if k != "kind"} for o in page]})

    def _create(self, request: Request) -> Answer:
        assert request.body is not None
        made = deepcopy(dict(request.body))
        made["metadata"]["name"] = f"{made['metadata']['generateName']}x7k2p"
        self.objects[made["kind"], made["metadata"]["name"]] = made
        return answer(made, 201)

    def _patch(self, request: Request) -> Answer:
        found = self.objects.get((KIND_OF[request.resource], request.name))
        if found is None:
            return missing(request)
        assert request.content_type == "application/merge-patch+json"
        assert request.query == {"fieldManager": "smbferry-cli"}
        _merge(found, dict(request.body or {}))
        return answer(found)


def status(code: int, reason: str, message: str, **details: str) -> Answer:
    """A metav1.Status."""
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    return Answer(code, json.dumps(body).encode(), reason)


def missing(request: Request) -> Answer:
    return status(404, "NotFound", f'{request.resource} "{request.name}" not found', name=request.name)


def answer(body: Object, code: int = 200) -> Answer:
    return Answer(code, json.dumps(body).encode())


def table(objects: list[Object]) -> Object:
    """A metav1.Table with columns of each sort."""
    columns = [
        {"name": "Name", "priority": 0}, {"name": "Ready", "priority": 0}, {"name": "Suspended", "priority": 0},
        {"name": "Message", "priority": 1}, {"name": "Age", "priority": 0},
    ]  # fmt: skip
    rows = []
    for obj in objects:
        ready: Object = next((c for c in obj.get("status", {}).get("conditions", ()) if c["type"] == "Ready"), {})
        suspended = obj.get("spec", {}).get("suspend")
        cells = [obj["metadata"]["name"], ready.get("status"), suspended, ready.get("message"), "5m"]
        rows.append({"cells": cells, "object": {"metadata": obj["metadata"]}})
    return {"kind": "Table", "columnDefinitions": columns, "rows": rows}


def _is_asked(obj: Object, request: Request) -> bool:
    key, _, value = request.query.get("labelSelector", "").partition("=")
    labelled = not key or obj["metadata"].get("labels", {}).get(key) == value
    return labelled and request.namespace in {None, obj["metadata"].get("namespace", NAMESPACE)}


def _merge(into: Object, change: Object) -> None:
    for key, value in change.items():
        if isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


def obj(kind: str, name: str, spec: Object | None = None, **status_: Any) -> Object:
    """An object of ours."""
    return {
        "apiVersion": "smbferry.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "generation": 1, "managedFields": [1]},
        "spec": spec or {},
        **({"status": status_} if status_ else {}),
    }


def task(name: str = "nightly", **spec: Any) -> Object:
    return obj("TransferTask", name, {"suspend": False, **spec})


def run(name: str, state: str | None = None, of: str = "nightly", **status_: Any) -> Object:
    return obj("TransferRun", name, {"taskRef": {"name": of}}, **({"state": state} if state else {}), **status_)


def plan_of_a_run() -> PlanStatus:
    """A plan that needs approval: four files and a folder would be deleted."""
    plan = PlanStatus.model_validate(
        {
            "plannedAt": "2026-11-21T19:00:00Z",
            "source": "//files1:445/finance",
            "destination": "//files2:445/archive",
            "toCreate": {"files": 3, "bytes": 30, "paths": ["/new"]},
            "toDelete": {"files": 4, "directories": 1, "paths": ["/old", "/old/x"]},
            "deletions": "abc",
        }
    )
    return plan.model_copy(update={"digest": plan_digest(plan)})


def planned(name: str, plan: PlanStatus, of: str = "nightly", **status_: Any) -> Object:
    """A run that waits for the approval of its plan."""
    waits = {**ready("Unknown", "ApprovalRequired"), "type": "Succeeded"}
    return run(name, "Queued", of, conditions=[waits], plan=plan.model_dump(mode="json", by_alias=True), **status_)


def ready(status_: str, reason: str, message: str = "") -> Object:
    return {
        "type": "Ready", "status": status_, "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-21T19:00:00Z",
    }  # fmt: skip


def called(api: FakeApi, words: str) -> int:
    """Runs a command as a person types it and returns its exit code."""
    chosen = parse("1", words.split())
    passed = iter(range(1_000_000))
    clock = Clock(now=lambda: float(next(passed)), sleep=api.sleep)
    return int(VERBS[chosen.command](chosen, Cluster(api, chosen.namespace or NAMESPACE), clock))
