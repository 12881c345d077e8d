"""What most cluster tests need: two identities and two locations in a namespace, on users and folders of their own."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.support.cluster import objects
from lab.support.cluster.kube import Kube, Object, ended, is_

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.domain.domain import Domain, User
    from lab.support.domain.machine import Directory

READER, WRITER, SOURCE, DESTINATION = "reader", "writer", "source", "destination"


@dataclass(frozen=True)
class Scene:
    """The parts, and the few things that tests do with them again and again."""

    kube: Kube
    domain: Domain
    reader: User
    writer: User
    source: Directory
    destination: Directory

    @property
    def nameservers(self) -> list[str]:
        """The domain's DNS server, for pods whose cluster does not know the domain."""
        return [self.domain.address]

    def identity(self, name: str, user: User, **spec: Any) -> Object:
        """An identity of a user, with this scene's krb5.conf."""
        names = {"keytab": f"{name}-keytab", "config": "krb5", "nameservers": self.nameservers}
        return objects.identity(name, spec.pop("principal", user.principal), **{**names, **spec})

    def location(self, name: str, share: str, identity: str, **spec: Any) -> Object:
        """A location on the domain's server."""
        return objects.location(name, self.domain.server, share, identity, **{"nameservers": self.nameservers, **spec})

    def keytab(self, name: str, user: User) -> Object:
        """The Secret with the keys that the domain has for the user now."""
        return objects.secret(f"{name}-keytab", {"keytab": user.keytab()})

    def apply(self, **spec: Any) -> None:
        """Applies everything but a task; both locations with what else their specification is to say."""
        self.kube.apply(
            objects.krb5("krb5", self.domain.realm, self.domain.address),
            self.keytab(READER, self.reader),
            self.keytab(WRITER, self.writer),
            self.identity(READER, self.reader),
            self.identity(WRITER, self.writer),
            self.location(SOURCE, "src", READER, path=self.source.path, **spec),
            self.location(DESTINATION, "dst", WRITER, path=self.destination.path, **spec),
        )

    def ready(self, *locations: str) -> None:
        """Waits until these locations, or else its own two, are ready, and with them their identities."""
        for name in locations or (SOURCE, DESTINATION):
            self.kube.wait("smblocation", name, "ready", is_("Ready", "True"), timeout=120)

    def run_of(self, task: str, *, timeout: float = 60) -> str:
        """The name of the run that the task has now, or had last."""
        return self._run_of(task, frozenset(), timeout)

    def next_run(self, task: str, **spec: Any) -> str:
        """The name of the run that a change of the task's spec brings; the change holds a new trigger.

        No run that was there before counts: the task's status may still name one of them.
        """
        known = frozenset(run["metadata"]["name"] for run in self.kube.list("transferruns"))
        self.kube.patch("transfertask", task, {"spec": spec})
        return self._run_of(task, known, timeout=60)

    def confirm(self, task: str) -> None:
        """Confirms a mirror to a destination that holds something, as a person does who has looked at both sides."""
        found = self.kube.wait("transfertask", task, "unconfirmed", lambda o: o.get("status", {}).get("unconfirmed"))
        self.kube.patch("transfertask", task, {"spec": {"mirrorConfirmation": found["status"]["unconfirmed"]}})
        self.kube.wait("transfertask", task, "confirmed", lambda o: not o.get("status", {}).get("unconfirmed"))

    def end_of(self, run: str, *, timeout: float = 120) -> Object:
        """The run once it is over."""
        return self.kube.wait("transferrun", run, "over", ended, timeout=timeout)

    def _run_of(self, task: str, known: frozenset[str], timeout: float) -> str:
        found = self.kube.wait(
            "transfertask", task, "running", lambda o: _current(o) not in {None, *known}, timeout=timeout
        )
        return str(_current(found))


@contextmanager
def new_scene(kube: Kube, domain: Domain) -> Iterator[Scene]:
    """Users and folders of its own, gone afterwards; nothing is applied yet."""
    with (
        domain.user("src-readers") as reader,
        domain.user("dst-writers") as writer,
        domain.directory("src") as source,
        domain.directory("dst") as destination,
    ):
        yield Scene(kube, domain, reader, writer, source, destination)


def _current(task: Object) -> str | None:
    status = task.get("status", {})
    name = status.get("activeRun") or status.get("lastRun", {}).get("name")
    return str(name) if name else None
