"""Desired objects, compared with YAML files; SMBFERRY_UPDATE_GOLDEN=1 writes these anew."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.builders import (
    NOW,
    SETTINGS,
    check_job,
    checked_identity,
    checks_of,
    ends,
    identity,
    job_of,
    location,
    run,
    task,
)

from smbferry_api.agent_contract import SID_MAP_DIR, UserIds
from smbferry_api.exit_codes import PERMANENT, RETRYABLE, ExitCode
from smbferry_api.pod_settings import PodSettings, PullSecret
from smbferry_operator.decide.decision import Decision
from smbferry_operator.decide.identity import decide_identity
from smbferry_operator.decide.manifests.pods import merged, union_of_nameservers
from smbferry_operator.decide.observation import (
    IdentityObservation,
    RunObservation,
    TaskObservation,
)
from smbferry_operator.decide.run import decide_run
from smbferry_operator.decide.settings import AgentSettings, NetworkRules
from smbferry_operator.decide.task import decide_task

GOLDEN = Path(__file__).parents[2] / "data" / "operator"
PLACED = {
    "labels": {"team": "storage", "kueue.x-k8s.io/queue-name": "nights"},
    "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "sidecar.istio.io/inject": "false"},
    "resources": {"limits": {"memory": "2Gi"}},
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "batch", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "priorityClassName": "low",
    "securityContext": {"runAsUser": 1000, "supplementalGroups": [2000]},
    "imagePullSecrets": [{"name": "mirror"}],
    "env": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"}],
    "activeDeadline": "6h",
}
FAR = {"nodeSelector": {"site": "north"}, "tolerations": [{"key": "site", "value": "north", "effect": "NoSchedule"}]}
NEAR = {"nodeSelector": {"site": "south"}, "resources": {"limits": {"memory": "1Gi"}}}
MAPPED = {"sidMap": {"configMapRef": {"name": "corp-sids"}}}
LONG = "a-name-that-is-" + "very-" * 30 + "long"

BEHIND = AgentSettings(image="smbferry/agent:1", pod=PodSettings(priority_class_name="smbferry-agent"))
PULLED = AgentSettings(
    image="smbferry/agent:1",
    image_pull_policy="Never",
    pod=merged(SETTINGS.pod, PodSettings(image_pull_secrets=(PullSecret(name="registry"),))),
)
ASSIGNED = AgentSettings(image="smbferry/agent:1", user_ids=UserIds.ASSIGNED)
CONFINED = AgentSettings(image="smbferry/agent:1", network=NetworkRules())
CLASSED = AgentSettings(image="smbferry/agent:1", class_name="branch")
JUST_CHECKED = (check_job(last_check="before"),)
CHANGED = [location(name, generation=2) for name in ("dst", "src")]
NAMESERVERS = ["10.0.0.1", "fd00::53"]

CASES: dict[str, Decision] = {
    "identity": decide_identity(IdentityObservation(identity()), NOW, SETTINGS),
    "identity-nameservers": decide_identity(
        IdentityObservation(identity(nameservers=["10.0.0.1", "10.0.0.2"])),
        NOW,
        PULLED,
    ),
    "identity-placed": decide_identity(IdentityObservation(identity(agent=FAR)), NOW, SETTINGS),
    "identity-carries": checks_of(checked_identity(), *CHANGED, outdated=True),
    "location": checks_of(checked_identity(), location(), jobs=JUST_CHECKED),
    "location-placed": checks_of(checked_identity(agent=FAR), location(agent=NEAR)),
    "run-assigned": decide_run(RunObservation(run(), task(), ends()), NOW, ASSIGNED),
    "identity-confined": decide_identity(IdentityObservation(identity(nameservers=NAMESERVERS)), NOW, CONFINED),
    "location-confined": checks_of(checked_identity(), *CHANGED, settings=CONFINED),
    "run-confined": decide_run(RunObservation(run(), task(), ends()), NOW, CONFINED),
    "run": decide_run(RunObservation(run(), task(), ends()), NOW, SETTINGS),
    "run-placed": decide_run(RunObservation(run(), task(agent=PLACED), ends()), NOW, SETTINGS),
    "run-sid-map": decide_run(RunObservation(run(), task(options=MAPPED), ends()), NOW, SETTINGS),
    "identity-class": decide_identity(IdentityObservation(identity()), NOW, CLASSED),
    "run-class": decide_run(RunObservation(run(), task(), ends()), NOW, CLASSED),
    "task-class": decide_task(TaskObservation(task(className="branch"), ends()), NOW),
    "run-dry": decide_run(RunObservation(run(dry_run=True), task(), ends()), NOW, SETTINGS),
    "task": decide_task(TaskObservation(task(trigger="2026-11-21"), ends()), NOW),
    "long-name": decide_identity(IdentityObservation(identity(LONG, uid="uid-long")), NOW, SETTINGS),
}


def objects() -> list[Any]:
    return [
        pytest.param(body, id=f"{name}-{body['kind']}")
        for name, decision in CASES.items()
        for body in (*decision.apply, *decision.create)
    ]


def pod_specs() -> list[Any]:
    return [
        pytest.param(body["spec"]["template"]["spec"], id=name)
        for name, decision in CASES.items()
        for body in decision.create
        if body["kind"] == "Job"
    ]


@pytest.mark.parametrize("name", CASES)
def test_desired_objects_are_as_written_down(name: str) -> None:
    decision = CASES[name]
    text = yaml.safe_dump_all([*decision.apply, *decision.create], sort_keys=False, width=120)
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("SMBFERRY_UPDATE_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8")

    assert path.read_text(encoding="utf-8") == text, "look at the difference, then SMBFERRY_UPDATE_GOLDEN=1 writes it"


@pytest.mark.parametrize("body", objects())
def test_every_object_has_an_owner_a_namespace_and_a_name_that_fits(body: dict[str, Any]) -> None:
    meta = body["metadata"]
    limit = 253 if body["kind"] == "TransferRun" else 63

    assert meta["namespace"] == "team"
    assert len(meta["name"]) <= limit
    assert all(len(value) <= 63 for value in meta["labels"].values())
    assert meta["labels"]["app.kubernetes.io/managed-by"] == "smbferry-operator"
    assert [(o["controller"], o["blockOwnerDeletion"]) for o in meta["ownerReferences"]] == [(True, True)]
    assert "finalizers" not in meta


@pytest.mark.fault(123)
@pytest.mark.parametrize("spec", [spec for spec in pod_specs() if not spec.id.endswith("-placed")])
def test_no_agent_may_take_all_of_a_node(spec: dict[str, Any]) -> None:
    for container in spec["containers"]:
        assert {*container["resources"]["requests"], *container["resources"]["limits"]} == {"cpu", "memory"}


@pytest.mark.fault(123)
@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (decide_identity(IdentityObservation(identity()), NOW, BEHIND), "smbferry-agent"),
        (checks_of(checked_identity(), location(), settings=BEHIND), "smbferry-agent"),
        (decide_run(RunObservation(run(), task(), ends()), NOW, BEHIND), "smbferry-agent"),
        (decide_run(RunObservation(run(), task(agent=PLACED), ends()), NOW, BEHIND), "low"),
        (decide_run(RunObservation(run(), task(), ends()), NOW, SETTINGS), None),
    ],
    ids=["identity", "location", "run", "the task's own", "none is set"],
)
def test_agents_and_checks_have_the_priority_of_the_installation(decision: Decision, expected: str | None) -> None:
    job = job_of(decision)

    assert job["spec"]["template"]["spec"].get("priorityClassName") == expected


@pytest.mark.parametrize("spec", pod_specs())
def test_pods_meet_pod_security_restricted(spec: dict[str, Any]) -> None:
    # https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    allowed = {
        "configMap",
        "secret",
        "emptyDir",
        "projected",
        "downwardAPI",
        "csi",
        "ephemeral",
        "persistentVolumeClaim",
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"].get("runAsUser") != 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for volume in spec["volumes"]:
        assert (set(volume) - {"name"}) <= allowed
    for container in spec["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is True
        assert "privileged" not in context
        assert not any("hostPort" in port for port in container.get("ports", []))


@pytest.mark.parametrize("spec", pod_specs())
def test_secrets_are_mounted_whole_and_optional_and_read_by_the_group(spec: dict[str, Any]) -> None:
    secrets = [v["secret"] for v in spec["volumes"] if "secret" in v]
    mounts = {m["name"]: m for m in spec["containers"][0]["volumeMounts"]}

    assert secrets
    assert all(s["optional"] and s["defaultMode"] == 0o440 and "items" not in s for s in secrets)
    assert spec["securityContext"].get("fsGroup", "assigned") in {65532, "assigned"}
    assert all(mounts[v["name"]]["readOnly"] for v in spec["volumes"] if "secret" in v)


@pytest.mark.fault(190)
@pytest.mark.parametrize("body", [b for b in objects() if b.id.endswith("-Job")])
def test_labels_and_annotations_of_people_stand_on_job_and_pod_and_change_none_of_ours(body: dict[str, Any]) -> None:
    meta, pod = body["metadata"], body["spec"]["template"]["metadata"]
    name = meta["annotations"]["smbferry.io/owner-name"]

    assert pod["annotations"]["smbferry.io/owner-name"] == name
    assert {k: v for k, v in pod["labels"].items() if k.startswith(("app.kubernetes.io/", "smbferry.io/owner"))} == {
        "app.kubernetes.io/name": "smbferry-agent",
        "app.kubernetes.io/component": meta["labels"]["app.kubernetes.io/component"],
        "app.kubernetes.io/managed-by": "smbferry-operator",
        "smbferry.io/owner-kind": meta["ownerReferences"][0]["kind"],
        "smbferry.io/owner-uid": meta["ownerReferences"][0]["uid"],
    }


def test_the_label_of_a_queue_stands_on_the_job_only_and_nobody_says_whether_it_is_suspended() -> None:
    job = job_of(CASES["run-placed"])

    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "nights"
    assert "kueue.x-k8s.io/queue-name" not in job["spec"]["template"]["metadata"]["labels"]
    assert "suspend" not in job["spec"]


@pytest.mark.fault(194)
def test_ids_that_the_cluster_assigns_are_not_named() -> None:
    spec = job_of(CASES["run-assigned"])["spec"]["template"]["spec"]

    assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(spec["securityContext"])


def test_a_sid_map_is_mounted_from_the_tasks_own_namespace_optional_and_read_only() -> None:
    (spec,) = [body["spec"]["template"]["spec"] for body in CASES["run-sid-map"].create if body["kind"] == "Job"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounts = {mount["name"]: mount for mount in spec["containers"][0]["volumeMounts"]}
    assert volumes["sid-map"]["configMap"] == {"name": "corp-sids", "optional": True, "defaultMode": 0o440}
    assert mounts["sid-map"] == {"name": "sid-map", "mountPath": SID_MAP_DIR, "readOnly": True}
    (other,) = [body["spec"]["template"]["spec"] for body in CASES["run"].create if body["kind"] == "Job"]
    assert "sid-map" not in {volume["name"] for volume in other["volumes"]}


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("identity", {"kerberosidentities": ["svc"]}),
        ("identity-carries", {"kerberosidentities": ["svc"], "smblocations": ["dst", "src"]}),
        ("location", {"kerberosidentities": ["svc"], "smblocations": ["src"]}),
        ("run", {"transferruns": ["run"], "kerberosidentities": ["svc"]}),
    ],
)
def test_an_agent_may_touch_only_its_own_objects(name: str, names: dict[str, list[str]]) -> None:
    role = next(body for body in (*CASES[name].apply, *CASES[name].create) if body["kind"] == "Role")

    for rule in role["rules"]:
        assert rule["apiGroups"] == ["smbferry.io"]
        assert rule["resourceNames"] == names[rule["resources"][0].removesuffix("/status")]
        assert rule["verbs"] == (["patch"] if rule["resources"][0].endswith("/status") else ["get"])


@pytest.mark.parametrize(
    ("name", "smb"), [("identity-confined", ()), ("location-confined", (445,)), ("run-confined", (445,))]
)
def test_a_confined_agent_is_reached_by_nobody_and_reaches_four_services(name: str, smb: tuple[int, ...]) -> None:
    decision = CASES[name]
    (policy,) = (body for body in (*decision.apply, *decision.create) if body["kind"] == "NetworkPolicy")
    (job,) = (body for body in decision.create if body["kind"] == "Job")
    spec, labels = policy["spec"], job["spec"]["template"]["metadata"]["labels"]

    assert spec["podSelector"]["matchLabels"].items() <= labels.items()
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in spec
    opened = {(p["protocol"], p["port"]) for rule in spec["egress"] for p in rule["ports"]}
    dns = {(protocol, port) for protocol in ("UDP", "TCP") for port in (53, 5353)}
    assert opened == dns | {("TCP", port) for port in (88, 443, 6443, *smb)}


def test_a_confined_agent_asks_its_own_nameservers_only() -> None:
    (policy,) = (body for body in CASES["identity-confined"].apply if body["kind"] == "NetworkPolicy")
    (dns,) = (rule for rule in policy["spec"]["egress"] if "to" in rule)

    assert {p["port"] for p in dns["ports"]} == {53, 5353}
    assert [peer["ipBlock"]["cidr"] for peer in dns["to"]] == ["10.0.0.1/32", "fd00::53/128"]


def test_what_kubernetes_retries_follows_the_exit_codes() -> None:
    job = next(body for body in CASES["run"].create if body["kind"] == "Job")["spec"]
    disruption, final = job["podFailurePolicy"]["rules"]

    assert disruption["action"] == "Ignore"
    assert final["action"] == "FailJob"
    assert set(final["onExitCodes"]["values"]) == {
        *PERMANENT,
        ExitCode.DONE_WITH_FAILURES,
        ExitCode.CANCELLED,
        ExitCode.PAUSED,
        ExitCode.AWAITS_APPROVAL,
        ExitCode.BUG,
    }
    assert not set(final["onExitCodes"]["values"]) & set(RETRYABLE)
    assert job["podReplacementPolicy"] == "Failed"
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_a_pod_has_the_nameservers_of_all_it_speaks_to_as_many_as_it_may() -> None:
    assert union_of_nameservers(["1.1.1.1"], ["2.2.2.2", "1.1.1.1"], [], ["3.3.3.3", "4.4.4.4"]) == (
        "1.1.1.1",
        "2.2.2.2",
        "3.3.3.3",
    )
