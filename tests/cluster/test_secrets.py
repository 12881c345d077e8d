"""No secret in any output: whole runs, good and failing ones, and everything that is left of them in the cluster."""

from __future__ import annotations

import base64
import json
import os
import time
from typing import TYPE_CHECKING

import pytest
from lab.smblab import keytab as keytabs
from tests.cluster import objects
from tests.cluster.conftest import SYSTEM
from tests.cluster.kube import KubectlError, is_
from tests.cluster.scene import DESTINATION, READER, SOURCE, Scene
from tests.support.leaks import leaks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.kube import Kube

KINDS = (
    "kerberosidentities,smblocations,transfertasks,transferruns,jobs,pods,configmaps,serviceaccounts,roles,"
    "rolebindings,networkpolicies,leases,events,events.v1.events.k8s.io"
)
MEMORY = """
import resource, sys
limits = next(line for line in open("/proc/1/limits") if line.startswith("Max core file size"))
try:
    open("/proc/1/mem", "rb").close()
except PermissionError:
    print("closed", *limits.split()[4:6])
"""


@pytest.fixture(scope="module")
def keys(scene: Scene) -> set[bytes]:
    """The keys that the Secrets hold when the runs begin."""
    return {entry.key for user in (scene.reader, scene.writer) for entry in keytabs.parse(user.keytab())}


def pods_and_logs(kube: Kube) -> Iterator[str]:
    for pod in kube.list("pods"):
        try:
            yield kube.kubectl("logs", pod["metadata"]["name"], "--all-containers", "--timestamps")
        except KubectlError as error:  # one that is just being started has none
            yield str(error)


def everything(kube: Kube) -> str:
    """Logs of all agents and of the operator, every object but the Secrets, as YAML and as kubectl describes it."""
    parts = [*pods_and_logs(kube)]
    parts.append(kube.kubectl("logs", "--namespace", SYSTEM, "deployment/smbferry-operator", "--timestamps"))
    parts.append(kube.kubectl("get", KINDS, "-o", "yaml", "--show-managed-fields"))
    parts.append(kube.kubectl("describe", KINDS))
    parts.append(kube.kubectl("get", "all,events", "--namespace", SYSTEM, "-o", "yaml"))
    return "\n".join(parts)


def test_the_outputs_of_good_and_failing_runs_hold_no_key(scene: Scene, keys: set[bytes]) -> None:
    scene.source.write("a.txt", b"a")
    scene.ready()
    scene.kube.apply(
        objects.task("good", SOURCE, DESTINATION, report={"detail": "Everything"}),
        {**objects.task("lost", SOURCE, DESTINATION), "spec": nowhere()},
    )
    good, lost = (scene.end_of(scene.run_of(name)) for name in ("good", "lost"))
    assert (good["status"]["state"], lost["status"]["state"]) == ("Succeeded", "Failed")
    # The failing paths say more than the others: a wrong key, a Secret that is damaged, one that is no keytab at all.
    whole = scene.reader.keytab()
    scene.kube.apply(
        objects.secret("cut-keytab", {"keytab": whole[:-7]}),
        objects.secret("text-keytab", {"keytab": base64.b64encode(whole)}),
        scene.identity("cut", scene.reader, keytab="cut-keytab"),
        scene.identity("text", scene.reader, keytab="text-keytab"),
    )
    for name in ("cut", "text"):
        scene.kube.wait("kid", name, "refused", is_("Ready", "False", "KeytabUnreadable"), timeout=90)
    scene.domain.set_password(scene.reader.name)
    scene.kube.kubectl("annotate", "kid", READER, f"smbferry.io/requested-at={time.time_ns()}")
    scene.kube.wait("kid", READER, "stale", is_("Ready", "False", "KeytabStale"), timeout=90)

    text = everything(scene.kube)
    for word in ("KeytabStale", "RunSucceeded", "side is ready", "KeytabUnreadable", scene.reader.principal):
        assert word in text, "the search looks where things are said"
    assert len(keys) == 4
    assert leaks(text.encode(), keys) == []
    hidden = base64.b64encode(b"x" + next(iter(keys)) + b"yz").decode()
    assert leaks(f"{text}{hidden}".encode(), keys), "the search finds one that is there"


def test_an_agents_memory_stays_its_own(scene: Scene) -> None:
    """No core file can be made of it, and another process of its own container may not read it."""
    scene.kube.apply(scene.keytab(READER, scene.reader))
    scene.source.write("slow.bin", os.urandom(24 << 20))
    scene.kube.wait("kid", READER, "ready", is_("Ready", "True"), timeout=150)
    scene.kube.apply(objects.task("slow", SOURCE, DESTINATION, options={"bytesPerSecond": "1Mi"}))
    name = scene.run_of("slow", timeout=180)
    scene.kube.wait(
        "transferrun", name, "copying", lambda run: run.get("status", {}).get("state") == "Transferring", timeout=90
    )
    (pod,) = scene.kube.list("pods", f"smbferry.io/run={name}")
    said = scene.kube.kubectl("exec", pod["metadata"]["name"], "--", "python3", "-c", MEMORY)
    assert said.split() == ["closed", "0", "0"]
    files = scene.kube.kubectl("exec", pod["metadata"]["name"], "--", "python3", "-c", MODES)
    assert json.loads(files) == {"keytab": "0o440", "writable": False}
    scene.kube.patch("transferrun", name, {"spec": {"cancel": True}})
    assert scene.end_of(name)["status"]["state"] == "Cancelled"


MODES = """
import json, os, pathlib
keytab = pathlib.Path("/var/run/smbferry/identity/source/keytab/keytab")
print(json.dumps({"keytab": oct(keytab.stat().st_mode & 0o777), "writable": os.access(keytab, os.W_OK)}))
"""


def nowhere() -> dict[str, object]:
    """A task's spec whose source folder is not there."""
    spec = dict(objects.task("lost", SOURCE, DESTINATION)["spec"])
    spec["source"] = {**spec["source"], "path": "/no/such/folder"}
    return spec
