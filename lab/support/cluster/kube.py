"""kubectl for the tests: objects in and out as dicts, and waiting for what should come true."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import yaml
from lab.support.cluster.api import ApiError
from lab.support.cluster.rest import rest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Object = dict[str, Any]
POLL_SECONDS = 0.3


class KubectlError(ApiError):
    """kubectl refused; the message is what it printed."""


class Kube:
    """One namespace of one cluster."""

    def __init__(self, environment: dict[str, str], namespace: str) -> None:
        self.environment = environment
        self.namespace = namespace
        self._rest = rest(environment["KUBECONFIG"])

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Runs kubectl in the namespace and returns what it printed.

        Raises:
            KubectlError: it ended with an error.
        """
        done = subprocess.run(
            ["kubectl", "--namespace", self.namespace, *arguments],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            raise KubectlError(done.stderr.strip() or done.stdout.strip())
        return done.stdout

    def apply(self, *objects: Object) -> None:
        """Applies objects as a person would."""
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))

    def create(self, obj: Object) -> str:
        """Creates an object and returns its name."""
        return str(
            json.loads(self.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(obj)))["metadata"]["name"]
        )

    def patch(self, kind: str, name: str, change: Object) -> None:
        """Merges a change into an object."""
        self.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps(change))

    def delete(self, kind: str, name: str, *, wait: bool = True) -> None:
        """Deletes an object."""
        self.kubectl("delete", kind, name, f"--wait={str(wait).lower()}")

    def get(self, kind: str, name: str) -> Object | None:
        """The object, or None where there is none."""
        return self._rest.get(self.namespace, kind, name)

    def list(self, kind: str, selector: str = "") -> list[Object]:
        """All objects of a kind."""
        return self._rest.list(self.namespace, kind, selector)

    def wait(
        self, kind: str, name: str, what: str, holds: Callable[[Object], object], *, timeout: float = 60
    ) -> Object:
        """The object as soon as `holds` is true of it.

        Raises:
            AssertionError: not within `timeout` seconds; the message has the object's status and events.
        """
        until = time.monotonic() + timeout
        while True:
            obj = self.get(kind, name)
            if obj is not None and holds(obj):
                return obj
            if time.monotonic() > until:
                raise AssertionError(
                    f"{kind}/{name}: not {what} within {timeout:.0f} s. Status:\n"
                    f"{yaml.safe_dump((obj or {}).get('status'))}\n{self.describe_surroundings()}"
                )
            time.sleep(POLL_SECONDS)

    def checks_of(self, obj: Object) -> Sequence[Object]:
        """The Jobs that check an object: an identity's own, or those of its identity that carry a location."""
        uid = obj["metadata"]["uid"]
        jobs = self.list("jobs", "app.kubernetes.io/component=check-identity")
        if obj["kind"] == "KerberosIdentity":
            return [job for job in jobs if job["metadata"]["labels"]["smbferry.io/owner-uid"] == uid]
        return [job for job in jobs if uid in job["metadata"]["annotations"].get("smbferry.io/check-load", "")]

    def verdict_seconds(self, obj: Object, type_: str) -> float:
        """From the making of the object's first check to a condition that it found and that has not changed since."""
        first = min(datetime.fromisoformat(job["metadata"]["creationTimestamp"]) for job in self.checks_of(obj))
        return (datetime.fromisoformat(condition(obj, type_)["lastTransitionTime"]) - first).total_seconds()

    def wait_gone(self, kind: str, name: str, *, timeout: float = 60) -> None:
        """Waits until the object is no more.

        Raises:
            AssertionError: it is still there after `timeout` seconds.
        """
        until = time.monotonic() + timeout
        while self.get(kind, name) is not None:
            if time.monotonic() > until:
                raise AssertionError(f"{kind}/{name} is still there after {timeout:.0f} s")
            time.sleep(POLL_SECONDS)

    def allows(self, verb: str, resource: str, account: str) -> bool:
        """Whether an account may do that in the namespace; `resource` is plural[.group][/subresource]."""
        resource, _, subresource = resource.partition("/")
        name, _, group = resource.partition(".")
        attributes = {"verb": verb, "resource": name, "group": group, "subresource": subresource}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": account,
                "groups": ["system:serviceaccounts", "system:authenticated"],
                "resourceAttributes": {"namespace": self.namespace, **attributes},
            },
        }
        return bool(
            json.loads(self.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(review)))["status"]["allowed"]
        )

    def describe_surroundings(self) -> str:
        """Jobs, pods and their logs, for a test that failed."""
        said = [
            self.kubectl("get", "jobs,pods", "-o", "wide"),
            self.kubectl("get", "events", "--sort-by=.lastTimestamp"),
        ]
        for pod in self.list("pods")[-3:]:
            name = pod["metadata"]["name"]
            try:
                said.append(f"--- {name}\n{self.kubectl('logs', name, '--tail=30')}")
            except KubectlError as error:
                said.append(f"--- {name}\n{error}")
        return "\n".join(said)


def condition(obj: Object, type_: str) -> Object:
    """The condition of that type; empty where there is none yet."""
    found = [c for c in obj.get("status", {}).get("conditions") or () if c["type"] == type_]
    return dict(found[0]) if found else {}


def holder(lease: Object) -> str:
    """Whom a lease names; empty once it was given away."""
    return str(lease["spec"].get("holderIdentity") or "")


def is_(type_: str, status: str, reason: str | None = None) -> Callable[[Object], bool]:
    """A predicate for `wait`: a condition of the newest generation has this status, and this reason if given."""

    def holds(obj: Object) -> bool:
        found = condition(obj, type_)
        return (
            found.get("status") == status
            and (reason is None or found.get("reason") == reason)
            and found.get("observedGeneration") == obj["metadata"]["generation"]
        )

    return holds


def ended(run: Object) -> bool:
    """A predicate for `wait`: the run is over."""
    return run.get("status", {}).get("state") in {"Succeeded", "PartiallySucceeded", "Failed", "Cancelled"}


def under_way(run: Object) -> bool:
    """A predicate for `wait`: bytes have begun to move."""
    return bool(run.get("status", {}).get("counters", {}).get("bytes", {}).get("transferred"))


def new_namespace(environment: dict[str, str], *, enforce: str = "restricted") -> Kube:
    """A namespace in which only pods that pass this Pod Security standard may run."""
    kube = Kube(environment, f"t-{secrets.token_hex(4)}")
    kube.kubectl("create", "namespace", kube.namespace)
    kube.kubectl("label", "namespace", kube.namespace, f"pod-security.kubernetes.io/enforce={enforce}")
    return kube
