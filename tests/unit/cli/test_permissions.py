"""What each command asks the API server for is what the reference page says that a user needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.documented.commands import ROOT
from tests.unit.cli.fake_api import FakeApi, called, obj, plan_of_a_run, planned, run, task

from smbferry_api.names import GROUP
from smbferry_cli.verbs.arguments import IN_CLUSTER
from smbferry_cli.verbs.permissions import PERMISSIONS
from smbferry_cli.verbs.run import VERBS

if TYPE_CHECKING:
    from pathlib import Path

READY = {
    "type": "Ready", "status": "True", "reason": "ChecksPassed", "lastTransitionTime": "2026-11-21T19:00:00Z",
}  # fmt: skip
PLAN = plan_of_a_run()
FORMS = {
    "get": ["get all", "get task nightly", "get run/nightly-1 -o json", "get kid svc-src", "get smbloc source"],
    "trigger": ["trigger nightly --wait"],
    "approve": [f"approve planned --plan {PLAN.digest}", f"approve run/planned-1 --plan {PLAN.digest}"],
    "cancel": ["cancel nightly-2", "cancel --task nightly"],
    "suspend": ["suspend nightly", "suspend --all"],
    "resume": ["resume paused run/nightly-2", "resume --all"],
    "recheck": ["recheck --all", "recheck identity/svc-src location/source --wait"],
    "watch": ["watch nightly", "watch run/nightly-1"],
    "debug": ["debug bundle --operator-namespace ferry"],
    "logs": ["logs nightly", "logs task/nightly", "logs nightly-1 -f", "logs identity/svc-src", "logs location/source"],
}


def pod_of(owner: str) -> dict[str, Any]:
    """The pod of an agent that has ended."""
    return {
        "kind": "Pod",
        "metadata": {
            "name": f"p-{owner}",
            "labels": {
                "smbferry.io/owner-uid": f"uid-{owner}",
                "app.kubernetes.io/managed-by": "smbferry-operator",
                "app.kubernetes.io/component": "operator",
            },
        },
        "status": {"phase": "Succeeded", "containerStatuses": [{"name": "agent", "state": {"terminated": {}}}]},
    }


def everything() -> FakeApi:
    """A namespace in which each command finds something to do, and nobody has to wait."""
    handled: dict[str, Any] = {"conditions": [READY], "lastHandledRequest": "x"}
    locations = {"identityRef": {"name": "svc-src"}}
    done = {"lastRun": {"name": "nightly-1", "state": "Succeeded"}, "observedGeneration": 1, "observedTrigger": ""}
    pods = [pod_of(owner) for owner in ("nightly-1", "svc-src")]
    pods[1] |= {"spec": {"containers": [{"args": ["--location=source=uid-source"]}]}}
    api = FakeApi(
        {**task("nightly"), "status": done}, task("paused", suspend=True), run("nightly-1", "Succeeded"),
        run("nightly-2", "Transferring"), obj("KerberosIdentity", "svc-src", **handled),
        obj("SmbLocation", "source", locations, **handled), *pods,
        task("planned"), planned("planned-1", PLAN, "planned"),
    )  # fmt: skip
    api.logs = {pod["metadata"]["name"]: b"line" for pod in pods}

    def passes(api: FakeApi) -> None:
        api.passes = [passes]
        for (kind, name), found in api.objects.items():
            request = found["metadata"].get("annotations", {}).get("smbferry.io/requested-at")
            if request:
                api.change(kind, name, lastHandledRequest=request)
            if name == "nightly-x7k2p":
                api.change(kind, name, state="Succeeded")

    api.passes = [passes]
    return api


def test_every_command_is_looked_at() -> None:
    assert FORMS.keys() == PERMISSIONS.keys() == VERBS.keys() == IN_CLUSTER


@pytest.mark.parametrize("command", sorted(FORMS))
def test_a_command_asks_for_what_the_user_must_be_allowed_to_do_and_no_more(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = set()
    for words in FORMS[command]:
        api = everything()
        called(api, words)
        asked |= set(api.asked)
    told = {(p.verb, p.resource, p.group) for p in PERMISSIONS[command]}
    assert asked == told


def test_the_roles_of_kubernetes_include_it_with_what_the_chart_adds() -> None:
    chart = yaml.safe_load_all((ROOT / "charts" / "kustomize" / "smbferry.yaml").read_text())
    roles = {o["metadata"]["name"]: o["rules"] for o in chart if o["kind"] == "ClusterRole"}
    allowed = {
        role: {(verb, r) for rule in roles[f"smbferry-{role}"] for verb in rule["verbs"] for r in rule["resources"]}
        for role in ("view", "edit")
    }
    ours = [p for needed in PERMISSIONS.values() for p in needed if p.group == GROUP]
    assert [p for p in ours if (p.verb, p.resource) not in allowed[p.role]] == []
