"""Each alert on a task or a key fires in a real Prometheus on a case that is made, and falls silent when it is over.

The rules are those of the chart, only with seconds instead of minutes and hours.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from lab.smblab import keytab
from lab.support.cluster import objects
from lab.support.cluster.kube import is_, under_way
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted
from tests.cluster.monitoring import rendered_for, scraping, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.cluster.kube import Object
    from lab.support.cluster.prometheus import Prometheus

pytestmark = pytest.mark.takes(200)

HASTENED = ((r"\[\d+m\]", "[6s]"), (r"\[1h\]", "[10s]"), (r"offset 1h", "offset 10s"), (r"> 3600", "> 2"))
YEAR = 365 * 24 * 3600


def hastened(rules: Object) -> Object:
    """The same rules for a test of minutes."""
    for group in rules["groups"]:
        for rule in group["rules"]:
            for pattern, instead in HASTENED:
                rule["expr"] = re.sub(pattern, instead, rule["expr"])
            if "for" in rule:
                rule["for"] = "2s"
    return rules


@pytest.fixture(scope="module")
def watching(scene: Scene, environment: dict[str, str]) -> Iterator[Prometheus]:
    rendered = rendered_for(environment)
    with scraping(scene.kube, rendered, hastened(rendered["PrometheusRule"]["spec"]), environment) as made:
        scene.source.seed([Wanted("slow/slow.bin", size=48 << 20), Wanted("small/small.bin", size=10)])
        for name in ("late", "ahead", "nowhere", "stands", "crawls", "lost"):
            scene.destination.write(f"{name}/before.txt", b"-")
        scene.ready()
        yield made


def task(name: str, folder: str, **spec: Any) -> Object:
    """From a folder of the source to a folder of the task's own."""
    made = objects.task(name, SOURCE, DESTINATION, **spec)
    made["spec"]["source"]["path"] = folder
    made["spec"]["destination"]["path"] = f"/{name}"
    return made


def firing(watching: Prometheus, scene: Scene, alert: str, **labels: str) -> list[Object]:
    """The alerts that fire, with labels and annotations."""
    wanted = {"alertname": alert, "namespace": scene.kube.namespace, **labels}
    found: list[Object] = watching.ask("alerts")["alerts"]
    return [a for a in found if a["state"] == "firing" and wanted.items() <= a["labels"].items()]


def fires(watching: Prometheus, scene: Scene, alert: str, *, seconds: float = 60, **labels: str) -> Object:
    """The alert once it fires, with all that a person needs."""
    until(lambda: firing(watching, scene, alert, **labels), seconds=seconds)
    (found,) = firing(watching, scene, alert, **labels)
    assert found["labels"]["severity"] == "warning"
    assert found["annotations"]["runbook_url"] == f"docs/alerts.md#{alert.lower()}"
    return found


def falls_silent(watching: Prometheus, scene: Scene, alert: str, *, seconds: float = 60, **labels: str) -> None:
    until(lambda: not firing(watching, scene, alert, **labels), seconds=seconds)


def test_a_copy_older_than_its_objective(watching: Prometheus, scene: Scene) -> None:
    scene.kube.apply(task("late", "/small", recoveryPointObjective="1m", suspend=True))
    fires(watching, scene, "SmbferryRpoMissed", task="late", seconds=120)
    scene.kube.patch("transfertask", "late", {"spec": {"suspend": False}})
    assert scene.end_of(scene.run_of("late"))["status"]["state"] == "Succeeded"
    falls_silent(watching, scene, "SmbferryRpoMissed", task="late", seconds=20)
    told = scene.kube.get("transfertask", "late")
    assert told is not None
    last = told["status"]["lastSuccessfulRun"]
    assert last["recoveryPoint"] == last["startTime"]


def test_a_run_that_waits_for_another(watching: Prometheus, scene: Scene) -> None:
    scene.kube.apply(task("ahead", "/slow", options={"bytesPerSecond": "1Mi"}))
    ahead = scene.run_of("ahead")
    scene.kube.wait("transferrun", ahead, "under way", under_way)
    behind = task("behind", "/small")
    behind["spec"]["destination"]["path"] = "/ahead"
    scene.kube.apply(behind)
    fires(watching, scene, "SmbferryQueuedTooLong", task="behind")
    scene.kube.patch("transferrun", ahead, {"spec": {"cancel": True}})
    scene.end_of(ahead)
    assert scene.end_of(scene.run_of("behind"))["status"]["state"] == "Succeeded"
    falls_silent(watching, scene, "SmbferryQueuedTooLong", task="behind")


def test_a_run_whose_agent_finds_no_node(watching: Prometheus, scene: Scene) -> None:
    scene.kube.apply(task("nowhere", "/small", agent={"nodeSelector": {"example.com/none": "such"}}))
    run = scene.run_of("nowhere")
    fires(watching, scene, "SmbferryQueuedTooLong", task="nowhere", seconds=90)
    scene.kube.patch("transferrun", run, {"spec": {"cancel": True}})
    scene.end_of(run)
    falls_silent(watching, scene, "SmbferryQueuedTooLong", task="nowhere")


def test_a_run_that_moves_nothing(watching: Prometheus, scene: Scene) -> None:
    """At this rate it may read the next range of the file in half an hour."""
    scene.kube.apply(task("stands", "/slow", options={"bytesPerSecond": "1Ki"}))
    run = scene.run_of("stands")
    fires(watching, scene, "SmbferryNoProgress", task="stands", seconds=120)
    scene.kube.patch("transferrun", run, {"spec": {"cancel": True}})
    scene.end_of(run)
    falls_silent(watching, scene, "SmbferryNoProgress", task="stands")


def test_a_key_that_grows_old(watching: Prometheus, scene: Scene) -> None:
    with scene.domain.user("src-readers") as user:
        old = [replace(entry, timestamp=int(time.time()) - 2 * YEAR) for entry in keytab.parse(user.keytab())]
        scene.kube.apply(
            objects.secret("old-keytab", {"keytab": keytab.write(old)}),
            scene.identity("old", user, rotation={"maxAge": "8760h"}),
            scene.location("aged", "src", "old", path=scene.source.path),
            objects.task("uses-it", "aged", DESTINATION, suspend=True),
        )
        scene.kube.wait("kid", "old", "aging", is_("KeytabValid", "True", "KeytabAging"), timeout=90)
        found = fires(watching, scene, "SmbferryKeytabAging", identity="old")
        assert found["annotations"]["description"].endswith(" uses-it.")
        scene.kube.apply(scene.keytab("old", user))
        scene.kube.kubectl("annotate", "kid", "old", f"smbferry.io/requested-at={time.time_ns()}")
        falls_silent(watching, scene, "SmbferryKeytabAging", identity="old", seconds=120)


def test_a_server_that_replies_slowly(watching: Prometheus, scene: Scene) -> None:
    """The run's figures are written here: no server of the lab can be made slow for others for certain."""
    scene.kube.apply(task("crawls", "/slow", options={"bytesPerSecond": "1Mi"}))
    run = scene.run_of("crawls")
    scene.kube.wait("transferrun", run, "under way", under_way)
    polite = {"latencyFactor": "1.2", "side": "source", "factor": "5.00", "sharePercent": 10}
    body = {
        "apiVersion": objects.API,
        "kind": "TransferRun",
        "metadata": {"name": run},
        "status": {"politeness": polite},
    }
    told = ("apply", "--server-side", "--subresource=status", "--field-manager=test", "-f", "-")
    scene.kube.kubectl(*told, stdin=json.dumps(body))
    fires(watching, scene, "SmbferryServerSlow", task="crawls")
    scene.kube.patch("transferrun", run, {"spec": {"cancel": True}})
    scene.end_of(run)
    falls_silent(watching, scene, "SmbferryServerSlow", task="crawls")


def test_a_failed_run_and_an_object_that_is_not_ready(watching: Prometheus, scene: Scene) -> None:
    scene.kube.apply(
        task("lost", "/none/such"),
        scene.identity("keyless", scene.reader, keytab="keyless-keytab"),
    )
    failed = fires(watching, scene, "SmbferryRunFailed", reason="PathNotFound", seconds=90)
    assert failed["labels"]["reason"] == "PathNotFound"
    fires(watching, scene, "SmbferryNotReady", name="keyless", seconds=120)
    scene.kube.apply(scene.keytab("keyless", scene.reader))
    scene.kube.kubectl("annotate", "kid", "keyless", f"smbferry.io/requested-at={time.time_ns()}")
    falls_silent(watching, scene, "SmbferryNotReady", name="keyless", seconds=120)
    falls_silent(watching, scene, "SmbferryRunFailed", reason="PathNotFound", seconds=60)
