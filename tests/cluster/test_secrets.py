"""No secret in any output: whole runs, good and failing ones, and everything that is left of them in the cluster."""

from __future__ import annotations

import base64
import gzip
import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from lab.smblab import keytab as keytabs
from lab.support.cluster import objects
from lab.support.cluster.chart import SYSTEM
from lab.support.cluster.kube import KubectlError, is_
from lab.support.cluster.leaks import leaks
from lab.support.cluster.scene import DESTINATION, READER, SOURCE, WRITER, Scene

from smbferry_cli.html import Facts, page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.cluster.kube import Kube
    from lab.support.domain.machine import Directory

pytestmark = pytest.mark.takes(65)

KINDS = (
    "kerberosidentities,smblocations,transfertasks,transferruns,jobs,pods,configmaps,serviceaccounts,roles,"
    "rolebindings,networkpolicies,leases,events,events.v1.events.k8s.io"
)
GOOD, LOST, SLOW = "good", "lost", "slow"
MEMORY = """
import resource, sys
limits = next(line for line in open("/proc/1/limits") if line.startswith("Max core file size"))
try:
    open("/proc/1/mem", "rb").close()
except PermissionError:
    print("closed", *limits.split()[4:6])
"""
MODES = """
import json, os, pathlib
keytab = pathlib.Path("/var/run/smbferry/identity/source/keytab/keytab")
print(json.dumps({"keytab": oct(keytab.stat().st_mode & 0o777), "writable": os.access(keytab, os.W_OK)}))
"""


@pytest.fixture(scope="module")
def keys(scene: Scene) -> set[bytes]:
    """The keys that the Secrets hold when the runs begin."""
    return {entry.key for user in (scene.reader, scene.writer) for entry in keytabs.parse(user.keytab())}


@pytest.fixture(scope="module")
def reports(scene: Scene) -> Iterator[Directory]:
    """Where the runs leave their reports."""
    with scene.domain.directory("dst") as made:
        scene.kube.apply(scene.location("reports", "dst", WRITER, path=made.path))
        yield made


@pytest.fixture(scope="module")
def runs(scene: Scene, reports: Directory) -> dict[str, str]:
    """Names of three runs that go on side by side: one that is well, one that fails, a slow one that copies still.

    Beside them the checks of a Secret that is damaged and of one that is no keytab at all.
    """
    for name in (GOOD, SLOW):
        scene.source.write(f"{name}/a.txt", b"a")
        scene.destination.write(f"{name}/before.txt", b"-")
    scene.source.write(f"{SLOW}/slow.bin", os.urandom(24 << 20))
    whole = scene.reader.keytab()
    scene.kube.apply(
        objects.secret("cut-keytab", {"keytab": whole[:-7]}),
        objects.secret("text-keytab", {"keytab": base64.b64encode(whole)}),
        scene.identity("cut", scene.reader, keytab="cut-keytab"),
        scene.identity("text", scene.reader, keytab="text-keytab"),
        task(GOOD),
        task(LOST, source="/no/such/folder"),
        task(SLOW, options={"bytesPerSecond": "1Mi"}),
    )
    return {name: scene.run_of(name, timeout=120) for name in (GOOD, LOST, SLOW)}


def task(name: str, source: str = "", **spec: Any) -> objects.Object:
    """Between folders of the task's own, with a report of every file."""
    report = {"detail": "Everything", "locationRef": {"name": "reports"}}
    made = objects.task(name, SOURCE, DESTINATION, report=report, **spec)
    made["spec"]["source"]["path"] = source or f"/{name}"
    made["spec"]["destination"]["path"] = f"/{name}"
    return made


def test_an_agents_memory_stays_its_own(scene: Scene, runs: dict[str, str]) -> None:
    """No core file can be made of it, and another process of its own container may not read it."""
    scene.kube.wait("transferrun", runs[SLOW], "copying", lambda run: state(run) == "Transferring", timeout=90)
    (pod,) = scene.kube.list("pods", f"smbferry.io/run={runs[SLOW]}")
    said = scene.kube.kubectl("exec", pod["metadata"]["name"], "--", "python3", "-c", MEMORY)
    assert said.split() == ["closed", "0", "0"]
    files = scene.kube.kubectl("exec", pod["metadata"]["name"], "--", "python3", "-c", MODES)
    assert json.loads(files) == {"keytab": "0o440", "writable": False}
    scene.kube.patch("transferrun", runs[SLOW], {"spec": {"cancel": True}})


def test_the_outputs_of_good_and_failing_runs_hold_no_key(
    scene: Scene, runs: dict[str, str], reports: Directory, keys: set[bytes]
) -> None:
    ends = {name: state(scene.end_of(run)) for name, run in runs.items()}
    assert ends == {GOOD: "Succeeded", LOST: "Failed", SLOW: "Cancelled"}
    for name in ("cut", "text"):
        scene.kube.wait("kid", name, "refused", is_("Ready", "False", "KeytabUnreadable"), timeout=90)
    scene.domain.set_password(scene.reader.name)
    scene.kube.kubectl("annotate", "kid", READER, f"smbferry.io/requested-at={time.time_ns()}")
    scene.kube.wait("kid", READER, "stale", is_("Ready", "False", "KeytabStale"), timeout=90)

    delivered = [delivered_by(scene.kube, reports, runs[name]) for name in (GOOD, LOST)]
    assert '"path": "/a.txt"' in delivered[0].replace('":"', '": "')
    assert '"state": "Failed"' in delivered[1]
    text = "\n".join([everything(scene.kube), *delivered])
    for word in ("KeytabStale", "RunSucceeded", "side is ready", "KeytabUnreadable", scene.reader.principal):
        assert word in text, "the search looks where things are said"
    assert len(keys) == 4
    assert leaks(text.encode(), keys) == []
    hidden = base64.b64encode(b"x" + next(iter(keys)) + b"yz").decode()
    assert leaks(f"{text}{hidden}".encode(), keys), "the search finds one that is there"


def state(run: objects.Object) -> str:
    return str(run.get("status", {}).get("state"))


def delivered_by(kube: Kube, reports: Directory, run: str) -> str:
    """A run's report as it lies on the share, its records unpacked, and the page that `smbferry report` makes of it."""
    made = kube.get("transferrun", run)
    assert made is not None
    name = made["status"]["report"]["path"].lstrip("/")
    records = gzip.decompress(reports.read(name)).decode()
    summary = reports.read(name.replace(".files.jsonl.gz", ".summary.json")).decode()
    facts = Facts(json.loads(summary))
    for line in records.splitlines():
        facts.take(json.loads(line))
    html = page(facts)
    assert run in html
    return f"{records}\n{summary}\n{html}"


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
