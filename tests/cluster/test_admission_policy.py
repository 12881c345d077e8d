"""What the operator's account and agents' accounts may do by their own tokens, as the admission policies bound it.

Nothing is created: the API server decides about a dry run as about a write.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from lab.smblab import product
from lab.support.cluster import objects
from lab.support.cluster.account import Account, agent_of
from lab.support.cluster.api import APPLY, MERGE, OWN
from lab.support.cluster.chart import SYSTEM
from lab.support.cluster.kube import Kube, is_, new_namespace
from lab.support.cluster.scene import DESTINATION, READER, SOURCE, WRITER, Scene
from tests.support.manipulated import Change, changed, gone, more, renewed, sent

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.takes(60)

REPOSITORY = product.tag("agent").partition(":")[0]
MADE = Path(__file__).parents[1] / "data" / "operator"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
COLLECTIONS = {
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Role": f"{RBAC}/namespaces/{{}}/roles",
    "RoleBinding": f"{RBAC}/namespaces/{{}}/rolebindings",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "TransferRun": f"{OWN}/namespaces/{{}}/transferruns",
}
FORCED = "?fieldManager=smbferry-operator&force=true"
POD, AGENT = "spec.template.spec", "spec.template.spec.containers.0"
OWNER = "metadata.ownerReferences.0"
VAULT = "vault.hashicorp.com/agent-inject-secret-x"
FROM_SECRET = {"secretKeyRef": {"name": "admin-keytab", "key": "keytab"}}
ROOT: list[Change] = [changed(f"{POD}.securityContext.runAsNonRoot", False),
                      changed(f"{POD}.securityContext.runAsUser", 0)]  # fmt: skip


def volume(name: str, **source: Any) -> Change:
    return more(f"{POD}.volumes", {"name": name, **source})


def instead_of_the_keytab(**source: Any) -> Change:
    return changed(f"{POD}.volumes.1", {"name": "self-keytab", **source})


JOBS = {
    "another image": (changed(f"{AGENT}.image", "forged.example.com/agent:1"), "expected an image of"),
    "an image whose name begins alike": (changed(f"{AGENT}.image", f"{REPOSITORY}-evil:1"), "expected an image of"),
    "a second container": (more(f"{POD}.containers", {"name": "b", "image": f"{REPOSITORY}:1"}), "one container"),
    "an init container": (changed(f"{POD}.initContainers", [{"name": "b", "image": "b:1"}]), "one container"),
    "the default account": (changed(f"{POD}.serviceAccountName", "default"), "expected the ServiceAccount of"),
    "no owner": (gone("metadata.ownerReferences"), "expected one owner"),
    "an owner of another kind": (changed(f"{OWNER}.kind", "ConfigMap"), "expected one owner"),
    "an owner of another group": (changed(f"{OWNER}.apiVersion", "example.com/v1"), "expected one owner"),
    "the name of another identity": (changed(f"{OWNER}.name", WRITER), "expected a name that consists of"),
    "another name": (changed("metadata.name", "evil"), "expected a name that consists of"),
    "a shell": (changed(f"{AGENT}.command", ["sh", "-c", "cat"]), "expected the command smbferry-agent"),
    "another command of the agent": (changed(f"{AGENT}.args.0", "transfer"), "expected the command smbferry-agent"),
    "another namespace": (changed(f"{AGENT}.args.2", "kube-system"), "expected the command smbferry-agent"),
    "another identity": (changed(f"{AGENT}.args.4", WRITER), "expected the command smbferry-agent"),
    "an unknown option": (more(f"{AGENT}.args", "--status-file=/x"), "expected the command smbferry-agent"),
    "the name twice": (more(f"{AGENT}.args", "--name"), "expected the command smbferry-agent"),
    "a hook": (changed(f"{AGENT}.lifecycle", {"postStart": {"exec": {"command": ["cat"]}}}), "nothing but its command"),
    "a probe": (changed(f"{AGENT}.livenessProbe", {"exec": {"command": ["cat"]}}), "nothing but its command"),
    "a port of the node": (changed(f"{AGENT}.ports", [{"containerPort": 1, "hostPort": 1}]), "nothing but its command"),
    "a Secret as a variable": (more(f"{AGENT}.env", {"name": "X", "valueFrom": FROM_SECRET}), "literal environment"),
    "a Secret as all variables": (
        changed(f"{AGENT}.envFrom", [{"secretRef": {"name": "admin-keytab"}}]), "literal environment"),
    "a library": (more(f"{AGENT}.env", {"name": "LD_PRELOAD", "value": "/x.so"}), "expected no variables that"),
    "a module": (more(f"{AGENT}.env", {"name": "PYTHONPATH", "value": "/x"}), "expected no variables that"),
    "another keytab": (more(f"{AGENT}.env", {"name": "KRB5_KTNAME", "value": "/x"}), "expected no variables that"),
    "a variable of the agent": (more(f"{AGENT}.env", {"name": "SMBFERRY_X", "value": "1"}), "expected no variables"),
    "another folder for tickets": (more(f"{AGENT}.env", {"name": "TMPDIR", "value": "/x"}), "expected no variables"),
    "privileges": ((changed(f"{AGENT}.securityContext.privileged", True),
                    changed(f"{AGENT}.securityContext.allowPrivilegeEscalation", True)), "without privileges"),
    "a capability": (changed(f"{AGENT}.securityContext.capabilities.add", ["SYS_ADMIN"]), "without privileges"),
    "a writable root": (changed(f"{AGENT}.securityContext.readOnlyRootFilesystem", False), "without privileges"),
    "root": (tuple(ROOT), "does not run as root"),
    "root in the container": (changed(f"{AGENT}.securityContext.runAsUser", 0), "without privileges"),
    "no seccomp profile": (
        changed(f"{POD}.securityContext.seccompProfile.type", "Unconfined"), "does not run as root"),
    "the node's network": (changed(f"{POD}.hostNetwork", True), "apart from its node"),
    "the node's processes": (changed(f"{POD}.hostPID", True), "apart from its node"),
    "the node's IPC": (changed(f"{POD}.hostIPC", True), "apart from its node"),
    "an alias of a host": (
        changed(f"{POD}.hostAliases", [{"ip": "10.0.0.1", "hostnames": ["dc"]}]), "apart from its node"),
    "a node": (changed(f"{POD}.nodeName", "control-plane"), "apart from its node"),
    "a priority of the system": (changed(f"{POD}.priorityClassName", "system-node-critical"), "other than those of"),
    "an injector": (changed("spec.template.metadata.annotations", {VAULT: "x"}), "expected no keys by which"),
    "pods of others": ((changed("spec.manualSelector", True), changed("spec.selector", {"matchLabels": {"a": "b"}}),
                        changed("spec.template.metadata.labels.a", "b")), "its own pods only"),
    "a host path": (volume("host", hostPath={"path": "/"}), "expected only volumes of agents"),
    "a host path as the keytab": (instead_of_the_keytab(hostPath={"path": "/"}), "expected only volumes of agents"),
    "a volume of a driver": (instead_of_the_keytab(csi={"driver": "x"}), "expected only volumes of agents"),
    "a token for another audience": (instead_of_the_keytab(
        projected={"sources": [{"serviceAccountToken": {"path": "t"}}]}), "expected only volumes of agents"),
    "a further Secret": (volume("report-keytab", secret={"secretName": "admin-keytab"}), "the name of its identity"),
    "another path": (changed(f"{AGENT}.volumeMounts.1.mountPath", "/usr/lib/x"), "each volume at its path"),
    "a part of a volume": (changed(f"{AGENT}.volumeMounts.1.subPath", "x"), "each volume at its path"),
    "a foreign Secret": (
        changed(f"{POD}.volumes.1.secret.secretName", "admin-keytab"), f"the Secret {READER}-keytab, which it names"),
    "the Secret of another identity": (
        changed(f"{POD}.volumes.1.secret.secretName", f"{WRITER}-keytab"), f"the Secret {READER}-keytab"),
    "a foreign ConfigMap": (
        changed(f"{POD}.volumes.2.configMap.name", "kube-root-ca.crt"), "the ConfigMap krb5, which it names"),
    "a Secret for no identity": (changed(f"{AGENT}.env.1.value", "nobody"), "the name of its identity"),
    "an identity that is named twice": (
        more(f"{AGENT}.env", {"name": "SMBFERRY_SELF_IDENTITY", "value": READER}), "the name of its identity"),
}  # fmt: skip
ACCESS = {
    "an account with a role of the cloud": (
        "ServiceAccount", changed("metadata.annotations", {"eks.amazonaws.com/role-arn": "x"}), "without Secrets"),
    "an account with Secrets": ("ServiceAccount", changed("secrets", [{"name": "x"}]), "without Secrets"),
    "a mounted token": ("ServiceAccount", changed("automountServiceAccountToken", True), "not mounted by default"),
    "another account": ("ServiceAccount", changed("metadata.name", "default"), "expected a name"),
    "a Role for Jobs": ("Role", more("rules", {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]}),
                        "expected a Role that"),
    "a Role for all objects": ("Role", gone("rules.0.resourceNames"), "expected a Role that"),
    "a Role to delete": ("Role", more("rules", {"apiGroups": ["smbferry.io"], "resources": ["transferruns"],
                                                "resourceNames": ["x"], "verbs": ["delete"]}), "expected a Role that"),
    "another subject": ("RoleBinding", changed("subjects.0.name", "default"), "of its own name"),
    "another namespace's subject": ("RoleBinding", changed("subjects.0.namespace", "default"), "of its own name"),
    "a user": ("RoleBinding", changed("subjects", [{"kind": "User", "name": "x"}]), "of its own name"),
    "no owner": ("RoleBinding", gone("metadata.ownerReferences"), "expected one owner"),
}  # fmt: skip
RUN_FIELDS = {
    "state": "Failed", "startTime": "2036-01-01T00:00:00Z", "completionTime": "2036-01-01T00:00:00Z",
    "duration": "9h", "jobRef": "x", "attempts": 9, "task": {"name": "x"}, "limit": {"bytesPerSecond": "1"},
    "queue": {"position": 9, "length": 9, "waitingFor": "Operator"}, "ending": {"state": "Failed", "reason": "x"},
    "observedGeneration": 99,
}  # fmt: skip
IDENTITY_FIELDS = {"observedGeneration": 99, "lastHandledRequest": "x", "account": {"staleKeyVersion": 9}}


@pytest.fixture(scope="module")
def operator(chart: None, environment: dict[str, str]) -> Account:
    """The operator's own account."""
    return Account(Kube(environment, SYSTEM), "smbferry-operator")


@pytest.fixture(scope="module")
def checked(scene: Scene) -> dict[str, Any]:
    """A check's Job that the operator has made, as it would make it anew under another name."""
    scene.kube.apply(objects.secret("admin-keytab", {"keytab": scene.writer.keytab()}))
    scene.kube.wait("kid", READER, "ready", is_("Ready", "True"), timeout=120)
    (name, *_) = (job["metadata"]["name"] for job in scene.kube.checks_of(read(scene.kube, "kid", READER)))
    return renewed(read(scene.kube, "job", name))


@pytest.fixture(scope="module")
def run(scene: Scene) -> str:
    """The name of a run that has ended."""
    scene.source.write("a.txt", b"a")
    scene.ready()
    scene.kube.apply(objects.task("bounded", SOURCE, DESTINATION))
    name = scene.run_of("bounded")
    assert scene.end_of(name)["status"]["state"] == "Succeeded"
    return name


@pytest.fixture(scope="module")
def foreign(scene: Scene) -> str:
    """The name of a Role and a RoleBinding that a person has made."""
    scene.kube.kubectl("create", "role", "mine", "--verb=get", "--resource=pods")
    scene.kube.kubectl("create", "rolebinding", "mine", "--role=mine", "--user=somebody")
    return "mine"


def read(kube: Kube, kind: str, name: str) -> dict[str, Any]:
    found = kube.get(kind, name)
    assert found is not None, name
    return found


def created(account: Account, obj: dict[str, Any], namespace: str) -> str:
    return account.tries("POST", COLLECTIONS[obj["kind"]].format(namespace), obj)


def test_the_operator_may_create_the_job_that_it_created(operator: Account, checked: dict[str, Any]) -> None:
    assert created(operator, checked, checked["metadata"]["namespace"]) == ""


@pytest.mark.fault(220)
@pytest.mark.parametrize("what", JOBS)
def test_the_operators_account_cannot_create_a_job_with(operator: Account, checked: dict[str, Any], what: str) -> None:
    changes, said = JOBS[what]
    job = deepcopy(checked)
    for change in changes if isinstance(changes, tuple) else (changes,):
        change(job)
    answer = created(operator, job, job["metadata"]["namespace"])
    assert "ValidatingAdmissionPolicy 'smbferry-" in answer
    assert said in answer


@pytest.mark.fault(220)
def test_a_run_may_mount_the_secrets_of_its_identities_only(operator: Account, scene: Scene, run: str) -> None:
    (name, *_) = (job["metadata"]["name"] for job in scene.kube.list("jobs", f"smbferry.io/run={run}"))
    job = renewed(read(scene.kube, "job", name))
    volumes = {made["name"]: made for made in job["spec"]["template"]["spec"]["volumes"]}
    assert created(operator, job, scene.kube.namespace) == ""
    volumes["source-keytab"]["secret"]["secretName"] = "admin-keytab"
    assert f"the Secret {READER}-keytab, which it names" in created(operator, job, scene.kube.namespace)


@pytest.mark.fault(220)
def test_where_there_are_no_identities_there_are_no_agents(operator: Account, checked: dict[str, Any]) -> None:
    job = deepcopy(checked)
    job["metadata"]["namespace"] = "default"
    changed(f"{AGENT}.args.2", "default")(job)
    assert "no params found" in created(operator, job, "default")


@pytest.mark.fault(220)
@pytest.mark.parametrize("what", ACCESS)
def test_the_operators_account_cannot_create_for_an_agent(
    operator: Account, scene: Scene, checked: dict[str, Any], what: str
) -> None:
    kind, change, said = ACCESS[what]
    name = checked["spec"]["template"]["spec"]["serviceAccountName"]
    made = sent(read(scene.kube, kind, name))
    assert created(operator, made, scene.kube.namespace).startswith("409"), "it exists, and may be made"
    change(made)
    answer = created(operator, made, scene.kube.namespace)
    assert "ValidatingAdmissionPolicy 'smbferry-access'" in answer
    assert said in answer


@pytest.mark.fault(220)
@pytest.mark.parametrize("kind", ["ServiceAccount", "Role", "RoleBinding"])
def test_the_operators_account_cannot_change_what_is_not_of_its_own_making(
    operator: Account, scene: Scene, foreign: str, kind: str
) -> None:
    name = "default" if kind == "ServiceAccount" else foreign
    api = "v1" if kind == "ServiceAccount" else "rbac.authorization.k8s.io/v1"
    body = {"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": {"x": "y"}}}
    path = f"{COLLECTIONS[kind].format(scene.kube.namespace)}/{name}{FORCED}"
    assert "expected one owner" in operator.tries("PATCH", path, body, APPLY)


@pytest.mark.fault(220)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (gone("metadata.ownerReferences"), "belongs to its task"),
        (changed("spec.taskRef.name", "another"), "belongs to its task"),
        (changed("spec.ignoreWindows", True), "its task's windows"),
        (changed("spec.priority", 100), "its task's windows"),
    ],
)
def test_the_operators_account_cannot_create_runs_of_its_own_choice(
    operator: Account, scene: Scene, run: str, change: Change, said: str
) -> None:
    made = renewed(read(scene.kube, "transferrun", run))
    assert created(operator, made, scene.kube.namespace) == ""
    change(made)
    assert said in created(operator, made, scene.kube.namespace)


@pytest.mark.fault(222)
@pytest.mark.parametrize("field", RUN_FIELDS)
def test_an_agent_cannot_change_what_the_operator_says_of_its_run(scene: Scene, run: str, field: str) -> None:
    agent, path = agent_of(scene.kube, run), f"{OWN}/namespaces/{scene.kube.namespace}/transferruns/{run}/status"
    assert agent.tries("PATCH", path, {"status": {"progress": {"percent": "1%"}}}, MERGE) == ""
    answer = agent.tries("PATCH", path, {"status": {field: RUN_FIELDS[field]}}, MERGE)
    assert f"expected no change of fields that the operator owns: {field}" in answer


@pytest.mark.fault(222)
@pytest.mark.parametrize("field", IDENTITY_FIELDS)
def test_an_agent_cannot_change_what_the_operator_says_of_an_identity(scene: Scene, run: str, field: str) -> None:
    agent, path = agent_of(scene.kube, run), f"{OWN}/namespaces/{scene.kube.namespace}/kerberosidentities/{READER}"
    assert agent.tries("PATCH", f"{path}/status", {"status": {"keyUse": {"holder": "x"}}}, MERGE) == ""
    answer = agent.tries("PATCH", f"{path}/status", {"status": {field: IDENTITY_FIELDS[field]}}, MERGE)
    assert f"expected no change of fields that the operator owns: {field}" in answer


@pytest.mark.fault(222)
@pytest.mark.parametrize("whose", ["transferruns", "kerberosidentities"])
@pytest.mark.parametrize("how", ["turned", "left out", "added"])
def test_an_agent_cannot_change_the_operators_conditions(scene: Scene, run: str, whose: str, how: str) -> None:
    name = run if whose == "transferruns" else READER
    conditions = read(scene.kube, whose, name)["status"]["conditions"]
    summary = next(each for each in conditions if each["type"] in {"Ready", "Succeeded"})
    if how == "turned":
        summary["status"] = "False"
    elif how == "left out":
        conditions.remove(summary)
    else:
        conditions.append({**summary, "type": "Stalled"})
    path = f"{OWN}/namespaces/{scene.kube.namespace}/{whose}/{name}/status"
    answer = agent_of(scene.kube, run).tries("PATCH", path, {"status": {"conditions": conditions}}, MERGE)
    assert "expected no change of Ready, Reconciling, Stalled and Succeeded" in answer


@pytest.fixture(scope="module")
def other(chart: None, environment: dict[str, str]) -> Iterator[Kube]:
    """A namespace with the identities that the recorded objects name."""
    kube = new_namespace(environment)
    kube.apply(*(identity for _, obj in recorded() for identity in identities(obj)))
    yield kube
    kube.kubectl("delete", "namespace", kube.namespace, "--wait=false")


def recorded() -> list[tuple[str, dict[str, Any]]]:
    """Everything that decide/manifests is known to build, by the file that it is recorded in."""
    return [(file.stem, obj) for file in sorted(MADE.glob("*.yaml")) for obj in yaml.safe_load_all(file.read_text())]


def identities(obj: dict[str, Any]) -> list[dict[str, Any]]:
    """The identities that a Job names, with the Secrets and ConfigMaps that it mounts for them."""
    if obj["kind"] != "Job":
        return []
    spec = obj["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    named = {e["name"].split("_")[1].lower(): e["value"] for e in spec["containers"][0]["env"] if
             e["name"].endswith("_IDENTITY")}  # fmt: skip
    return [
        objects.identity(
            name, "svc@CORP.EXAMPLE.COM", keytab=volumes[f"{side}-keytab"]["secret"]["secretName"],
            config=volumes[f"{side}-krb5"]["configMap"]["name"], checkInterval="168h",
        )
        for side, name in named.items()
    ]  # fmt: skip


@pytest.mark.parametrize(
    "obj", [pytest.param(obj, id=f"{name}-{obj['kind']}") for name, obj in recorded() if obj["kind"] in COLLECTIONS]
)
def test_everything_that_the_operator_builds_passes(operator: Account, other: Kube, obj: dict[str, Any]) -> None:
    made = deepcopy(obj)
    made["metadata"]["namespace"] = other.namespace
    if made["kind"] == "RoleBinding":
        changed("subjects.0.namespace", other.namespace)(made)
    if made["kind"] == "Job":
        changed(f"{AGENT}.image", f"{REPOSITORY}:1")(made)
        changed(f"{AGENT}.args.2", other.namespace)(made)
    answer = created(operator, made, other.namespace)
    assert answer == "" or (made["kind"] == "RoleBinding" and answer.startswith("404")), answer  # its Role is missing
