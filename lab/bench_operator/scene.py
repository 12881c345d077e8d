"""What the bench puts into a cluster: thousands of tasks with their locations, as people and agents leave them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lab.support.cluster.api import OWN, Api, Object, at_once
from lab.support.verdicts import IDENTITY_IS_WELL, LOCATION_IS_WELL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IDENTITIES = 20
AGENT, OPERATOR = "smbferry-agent", "smbferry-operator"


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


def checked(states: dict[str, str], **more: Any) -> Object:
    """A status as an agent leaves it that found everything good."""
    conditions = [condition(type_, status, "Fine") for type_, status in states.items()]
    return {"conditions": conditions, "lastCheckTime": now(), "nextCheckTime": now(hours=12), **more}


class Scene:
    """One namespace full of objects."""

    def __init__(self, api: Api, namespace: str, tasks: int) -> None:
        self._api = api
        self.tasks = tasks
        self.path = f"{OWN}/namespaces/{namespace}"

    def make(self) -> None:
        """Identities, two locations for each task, tasks that are suspended; with the agents' part of each status."""
        at_once(self._identities())
        at_once(self._locations())
        at_once(self._create("transfertasks", task(f"task-{n}", n, suspend=True)) for n in range(self.tasks))

    def new_task(self, name: str, number: int, *, exit_code: int = 0) -> None:
        """Creates a task that starts its first run at once, at a destination of its own."""
        self._create("transfertasks", task(name, number, folder=name, exit_code=exit_code))()

    def _identities(self) -> Iterator[Callable[[], object]]:
        for number in range(IDENTITIES):
            name = f"id-{number}"
            spec = {
                "principal": f"{name}@CORP.EXAMPLE.COM",
                "keytabSecretRef": {"name": f"{name}-keytab"},
                "krb5ConfigMapRef": {"name": "krb5"},
                "checkInterval": "24h",
            }
            yield self._checked("KerberosIdentity", "kerberosidentities", name, spec, checked(IDENTITY_IS_WELL))

    def _locations(self) -> Iterator[Callable[[], object]]:
        for number in range(self.tasks):
            for end in ("src", "dst"):
                spec = {
                    "server": "files.corp.example.com",
                    "share": f"{end}{number}",
                    "identityRef": {"name": f"id-{number % IDENTITIES}"},
                    "checkInterval": "24h",
                }
                status = checked(LOCATION_IS_WELL, identityGeneration=1)
                yield self._checked("SmbLocation", "smblocations", f"{end}-{number}", spec, status)

    def _checked(self, kind: str, plural: str, name: str, spec: Object, status: Object) -> Callable[[], object]:
        """As agent and operator have left it, so that nothing needs another check."""
        create, path = self._create(plural, _object(kind, name, spec)), f"{self.path}/{plural}/{name}"
        summary = {"observedGeneration": 1, "conditions": [condition("Ready", "True", "ChecksPassed")]}

        def make() -> None:
            create()
            self._api.apply_status(path, kind, status, AGENT)
            self._api.apply_status(path, kind, summary, OPERATOR)

        return make

    def _create(self, plural: str, body: Object) -> Callable[[], object]:
        return lambda: self._api.request("POST", f"{self.path}/{plural}", body)


def task(name: str, number: int, *, suspend: bool = False, folder: str = "", exit_code: int = 0) -> Object:
    """A task from the number's source to its destination, or to a folder there; its agents end with the exit code."""
    agent = {"nodeSelector": {"exit": str(exit_code)}} if exit_code else {}
    spec = {
        "source": {"locationRef": {"name": f"src-{number}"}},
        "destination": {"locationRef": {"name": f"dst-{number}"}, "path": f"/{folder}"},
        "suspend": suspend,
        "trigger": "one",
        "agent": agent,
    }
    return _object("TransferTask", name, spec)


def _object(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": "smbferry.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
