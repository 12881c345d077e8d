"""A real Prometheus scrapes the operator: every panel of the dashboard and every alert finds what it asks for."""

from __future__ import annotations

import json
import math
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from lab.smblab import keytab
from lab.support.cluster import objects
from lab.support.cluster.kube import is_, under_way
from lab.support.cluster.prometheus import RULE_TESTS, RULES, Prometheus
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted
from tests.cluster.monitoring import FILES, HERE, rendered_for, scraping, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.cluster.kube import Object

pytestmark = pytest.mark.takes(50)

STALE = "stale"
YEAR = 365 * 24 * 3600
RATE_INTERVAL = "5s"
MAY_BE_ZERO = {
    "Clock offset to the KDC": "two clocks may agree",
    "Operator: queue and reconciliations": "nothing has to wait, and nothing to go wrong",
}
"""Panels whose figures need not have moved, and why; all others must have shown something."""
TRUE_NOW = {
    "SmbferryRunFailed": "firing",
    "SmbferryNotInSync": "pending",
    "SmbferryNotReady": "pending",
    "SmbferryKvnoMismatch": "pending",
    "SmbferryKeytabAging": "pending",
}
"""Alerts whose condition holds in the scene, and how far they come in its seconds."""
NEVER_HERE = {"SmbferryServerSlow": "a run measures replies only after a while; test_alerts.py makes a case"}
"""Alerts for which the scene has no figures, and why."""
THRESHOLD = re.compile(r"\s*(==|<|>)\s*-?\d+(?= or |$)")


def panels() -> list[Any]:
    dashboard = json.loads((FILES / "dashboard.json").read_text(encoding="utf-8"))
    return [
        pytest.param(panel["title"], target["expr"], id=f"{panel['title']} {target['refId']}")
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]


def alerts() -> dict[str, str]:
    groups = yaml.safe_load((FILES / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


@pytest.fixture(scope="module")
def rendered(environment: dict[str, str]) -> dict[str, Object]:
    return rendered_for(environment)


@pytest.fixture(scope="module")
def watching(scene: Scene, rendered: dict[str, Object], environment: dict[str, str]) -> Iterator[Prometheus]:
    with scraping(scene.kube, rendered, rendered["PrometheusRule"]["spec"], environment) as made:
        yield made


@pytest.fixture(scope="module")
def watched(watching: Prometheus, scene: Scene) -> Iterator[Prometheus]:
    """It has seen runs that succeeded, failed, copied in part and waited, a schedule, and an old and stale key.

    The key stays stale for as long as anybody looks: without its user, the next check would find another fault.
    """
    with scene.domain.user("src-readers") as user:
        stale_key(scene, user)
        scene.source.seed([Wanted("all/slow.bin", size=16 << 20), Wanted("part/open.txt", size=10)])
        scene.source.write("part/closed.txt", b"not for you")
        scene.domain.run("chmod", "0600", f"{scene.source.inside}/part/closed.txt")
        for folder in ("all", "part"):
            scene.destination.write(f"{folder}/before.txt", b"-")
        scene.ready()
        slow = task("slow", "/all", bytesPerSecond="4Mi", deletedFiles="Remove", maxDeletes="100%")
        slow["spec"] |= {"suspend": True, "recoveryPointObjective": "1h"}
        scene.kube.apply(slow)
        scene.confirm("slow")
        scene.kube.patch("transfertask", "slow", {"spec": {"suspend": False}})
        first = scene.run_of("slow")
        scheduled = task("scheduled", "/all")
        scheduled["spec"]["schedule"] = {"cron": "@yearly"}
        scene.kube.apply(task("failed", "/none/such"), task("part", "/part"), scheduled)
        scene.kube.wait("transferrun", first, "under way", under_way)
        scene.kube.apply(task("queued", "/all"))
        ends = [scene.end_of(scene.run_of(name))["status"] for name in ("slow", "failed", "part", "queued")]
        assert [end["state"] for end in ends] == ["Succeeded", "Failed", "PartiallySucceeded", "Succeeded"], ends
        scene.kube.wait("kid", STALE, "stale", is_("KvnoMismatch", "True", "KeytabStale"))
        counted = f'sum(smbferry_runs_ended_total{{namespace="{scene.kube.namespace}"}}) >= {len(ends)}'
        until(lambda: watching.now(counted))
        until(lambda: {a["alertname"]: a["alertstate"] for a in alerts_on(watching, scene)} == TRUE_NOW)
        yield watching


def stale_key(scene: Scene, user: Any) -> None:
    """An identity whose keytab is two years old, and of a password that was changed since."""
    entries = [replace(entry, timestamp=int(time.time()) - 2 * YEAR) for entry in keytab.parse(user.keytab())]
    scene.domain.set_password(user.name)
    scene.kube.apply(
        objects.secret(f"{STALE}-keytab", {"keytab": keytab.write(entries)}),
        scene.identity(STALE, user, rotation={"maxAge": "8760h"}),
    )


def task(name: str, folder: str, **options: Any) -> Object:
    """A task from a folder of the source to one of the same name at the destination."""
    made = objects.task(name, SOURCE, DESTINATION, options=options)
    for side in ("source", "destination"):
        made["spec"][side]["path"] = folder
    return made


def alerts_on(watching: Prometheus, scene: Scene) -> list[dict[str, str]]:
    """The labels of the alerts about this scene that are pending or firing."""
    return [alert["metric"] for alert in watching.now(f'ALERTS{{namespace="{scene.kube.namespace}"}}')]


@pytest.mark.parametrize(("title", "expression"), panels())
def test_a_panel_shows_what_happened(watched: Prometheus, scene: Scene, title: str, expression: str) -> None:
    asked = expression.replace("$namespace", scene.kube.namespace).replace("$__rate_interval", RATE_INTERVAL)
    values = [value for value in watched.seen(asked) if math.isfinite(value)]
    assert values, asked
    assert title in MAY_BE_ZERO or max(values) > 0, asked


def test_states_and_reasons_are_told_apart_from_the_first_run_on(watched: Prometheus, scene: Scene) -> None:
    """Each series begins with its first run: what `increase` alone does not see."""
    dashboard = {parameter.values[0]: parameter.values[1] for parameter in panels()}
    here = scene.kube.namespace
    for title, wanted in (
        ("Finished runs by state", {"Succeeded", "Failed", "PartiallySucceeded"}),
        ("Failures by reason", {"PathNotFound"}),
    ):
        asked = dashboard[title].replace("$namespace", here).replace("$__rate_interval", "10m")
        found = {next(iter(series["metric"].values())): float(series["value"][1]) for series in watched.now(asked)}
        assert found.keys() == wanted
        assert all(value >= 1 for value in found.values()), found


@pytest.mark.parametrize("name", alerts())
def test_an_alert_is_evaluated_and_finds_what_it_asks_for(watched: Prometheus, name: str) -> None:
    (group,) = watched.ask("rules")["groups"]
    (rule,) = [rule for rule in group["rules"] if rule["name"] == name]
    assert (rule["health"], rule.get("lastError", "")) == ("ok", "")
    asked, thresholds = THRESHOLD.subn("", alerts()[name])
    assert thresholds
    assert name in NEVER_HERE or watched.seen(asked), asked


def test_the_alerts_say_what_is_wrong(watched: Prometheus, scene: Scene) -> None:
    here = alerts_on(watched, scene)
    about = {labels["alertname"]: labels for labels in here}
    assert about["SmbferryRunFailed"]["reason"] == "PathNotFound"
    assert about["SmbferryKvnoMismatch"]["identity"] == about["SmbferryKeytabAging"]["identity"] == STALE
    assert {labels["task"] for labels in here if labels["alertname"] == "SmbferryNotInSync"} == {"failed", "part"}


def test_the_config_map_has_the_dashboard(rendered: dict[str, Object]) -> None:
    (text,) = rendered["ConfigMap"]["data"].values()
    assert json.loads(text) == json.loads((FILES / "dashboard.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("words", [("check", "rules", RULES), ("test", "rules", RULE_TESTS)], ids=" ".join)
def test_promtool_finds_nothing_wrong(watching: Prometheus, words: tuple[str, ...]) -> None:
    assert "SUCCESS" in watching.promtool(*words)


def test_every_alert_has_a_unit_test() -> None:
    tests = (HERE / RULE_TESTS).read_text(encoding="utf-8")
    assert {name for name in alerts() if f'"{name}"' not in tests and f"alertname: {name}\n" not in tests} == set()
