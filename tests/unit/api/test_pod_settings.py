"""Settings of agents' pods: what an object may set, what only the chart may, and what nobody may."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from smbferry_api.crd import structural_schema
from smbferry_api.explain import explain
from smbferry_api.forbidden import Forbidden
from smbferry_api.pod_settings import INJECTED_KEYS, READ_VARIABLES, ObjectPodSettings, PodSettings

TERM = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "db"}}}
ELSEWHERE = TERM | {"namespaceSelector": {}}
REQUIRED, PREFERRED = (f"{when}DuringSchedulingIgnoredDuringExecution" for when in ("required", "preferred"))


def env(name: str, value: str = "x") -> dict[str, Any]:
    return {"env": [{"name": name, "value": value}]}


GOOD = [
    {"labels": {"team": "storage", "kueue.x-k8s.io/queue-name": "nights", "app.kubernetes.io/part-of": "archive"}},
    {"labels": {"linkerd.io/inject": "disabled", "sidecar.istio.io/inject": "false"}},
    {"annotations": {"admission.datadoghq.com/enabled": "false", "ad.datadoghq.com/agent.logs": "[]"}},
    {"annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}},
    {"nodeSelector": {"node-role.kubernetes.io/infra": "", "kubernetes.io/os": "linux"}},
    {"affinity": {"podAntiAffinity": {REQUIRED: [TERM], PREFERRED: [{"weight": 1, "podAffinityTerm": TERM}]}}},
    {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": []}}}},
    {"securityContext": {"runAsUser": 1000680000, "fsGroup": 1000680000, "seLinuxOptions": {"level": "s0:c26,c5"}}},
    {"imagePullSecrets": [{"name": "mirror"}]},
    env("HTTPS_PROXY", "http://proxy.example.com:3128"),
    env("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
]

BAD = [
    # What identifies an agent.
    ({"labels": {"smbferry.io/owner-uid": "x"}}, "labels: reserved"),
    ({"labels": {"x.smbferry.io/y": "x"}}, "labels: reserved"),
    ({"labels": {"app.kubernetes.io/name": "x"}}, "labels: reserved"),
    ({"labels": {"app.kubernetes.io/managed-by": "x"}}, "labels: reserved"),
    ({"labels": {"batch.kubernetes.io/job-name": "x"}}, "labels: reserved"),
    ({"labels": {"job-name": "x"}}, "labels: reserved"),
    ({"annotations": {"smbferry.io/owner-name": "x"}}, "annotations: reserved"),
    # What is no label.
    ({"labels": {"": "x"}}, "labels: expected keys such as"),
    ({"labels": {"a b": "x"}}, "labels: expected keys such as"),
    ({"labels": {"k" * 64: "x"}}, "labels: expected keys such as"),
    ({"labels": {"team": "a b"}}, "labels.team: expected a string that matches"),
    ({"labels": {f"k{number}": "" for number in range(33)}}, "labels"),
    # What Pod Security `restricted` refuses, or lets an agent leave the node's defaults.
    ({"annotations": {"container.apparmor.security.beta.kubernetes.io/agent": "unconfined"}}, "AppArmor"),
    ({"annotations": {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}}, "seccomp"),
    ({"securityContext": {"runAsUser": 0}}, "runAsUser: expected at least 1"),
    ({"securityContext": {"runAsGroup": 0}}, "runAsGroup: expected at least 1"),
    ({"securityContext": {"fsGroup": 2**31}}, "fsGroup: expected at most 2147483647"),
    ({"securityContext": {"runAsNonRoot": False}}, 'unknown field "runAsNonRoot"'),
    ({"securityContext": {"sysctls": []}}, 'unknown field "sysctls"'),
    ({"securityContext": {"seLinuxOptions": {"type": "spc_t"}}}, "seLinuxOptions.type: expected"),
    ({"securityContext": {"seLinuxOptions": {"user": "root"}}}, 'unknown field "user"'),
    # What loads code, another keytab or another krb5.conf, or reads a Secret.
    (env("SMBFERRY_TASK"), "env.0.name: reserved"),
    (env("KRB5_CONFIG"), "env.0.name: reserved"),
    (env("KRB5CCNAME"), "env.0.name: reserved"),
    (env("GSS_MECH_CONFIG"), "env.0.name: reserved"),
    (env("LD_PRELOAD"), "env.0.name: reserved"),
    (env("GCONV_PATH"), "env.0.name: reserved"),
    (env("GLIBC_TUNABLES"), "env.0.name: reserved"),
    (env("OPENSSL_CONF"), "env.0.name: reserved"),
    (env("SSLKEYLOGFILE"), "env.0.name: reserved"),
    (env("PYTHONPATH"), "env.0.name: reserved"),
    (env("TMPDIR"), "env.0.name: reserved"),
    (env("HOME"), "env.0.name: reserved"),
    (env("PATH"), "env.0.name: reserved"),
    (env("KUBERNETES_SERVICE_HOST"), "env.0.name: reserved"),
    (env("JOB_COMPLETION_INDEX"), "env.0.name: reserved"),
    (env("RES_OPTIONS"), "env.0.name: reserved"),
    (env("a-b"), "env.0.name: expected a string that matches"),
    ({"env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "a"}}}]}, 'unknown field "valueFrom"'),
    ({"env": [{"name": "TOKEN"}]}, "env.0.value: required field is missing"),
    ({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}, "expected each name once, got A"),
    ({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}, "expected each name once, got a"),
    # What is not part of the settings.
    *(({name: None}, f'unknown field "{name}"') for name in ("serviceAccountName", "volumes", "nodeName")),
    *(({name: None}, f'unknown field "{name}"') for name in ("hostNetwork", "initContainers")),
    *(({name: None}, f'unknown field "{name}"') for name in ("runtimeClassName", "schedulerName")),
]  # fmt: skip

ONLY_ON_THE_CHART = [
    ({"annotations": {"sidecar.istio.io/proxyImage": "evil.example.com/proxy"}}, "only on the chart"),
    ({"annotations": {"sidecar.istio.io/userVolumeMount": "[]"}}, "only on the chart"),
    ({"annotations": {"vault.hashicorp.com/agent-inject": "true"}}, "only on the chart"),
    ({"annotations": {"k8s.v1.cni.cncf.io/networks": "san"}}, "only on the chart"),
    ({"annotations": {"cni.projectcalico.org/ipAddrs": "[]"}}, "only on the chart"),
    ({"annotations": {"akeyless/enabled": "true"}}, "only on the chart"),
    ({"annotations": {"admission.datadoghq.com/python-lib.custom-image": "x"}}, "only on the chart"),
    ({"annotations": {"instrumentation.opentelemetry.io/inject-python": "true"}}, "only on the chart"),
    ({"annotations": {"openshift.io/required-scc": "anyuid"}}, "only on the chart"),
    ({"labels": {"azure.workload.identity/use": "true"}}, "only on the chart"),
    ({"priorityClassName": "system-node-critical"}, "other than those of the system"),
    ({"affinity": {"podAntiAffinity": {REQUIRED: [ELSEWHERE]}}}, "pods of other namespaces"),
    ({"affinity": {"podAffinity": {REQUIRED: [TERM | {"namespaces": ["other"]}]}}}, "pods of other namespaces"),
    (
        {"affinity": {"podAntiAffinity": {PREFERRED: [{"weight": 1, "podAffinityTerm": ELSEWHERE}]}}},
        "pods of other namespaces",
    ),
]


def problem(model: type[PodSettings], value: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as raised:
        model.model_validate(value)
    return explain(raised.value, "agent", model)


@pytest.mark.parametrize("value", GOOD, ids=json.dumps)
def test_what_places_an_agent_is_accepted(value: dict[str, Any]) -> None:
    ObjectPodSettings.model_validate(value)
    PodSettings.model_validate(value)


@pytest.mark.fault(190, 191)
@pytest.mark.parametrize(("value", "words"), BAD, ids=lambda v: json.dumps(v)[:60])
@pytest.mark.parametrize("model", [PodSettings, ObjectPodSettings])
def test_what_nobody_may_set_is_refused_in_words(model: type[PodSettings], value: dict[str, Any], words: str) -> None:
    assert words in problem(model, value)


@pytest.mark.fault(191)
@pytest.mark.parametrize(("value", "words"), ONLY_ON_THE_CHART, ids=lambda v: json.dumps(v)[:60])
def test_what_could_harm_others_may_be_set_on_the_chart_only(value: dict[str, Any], words: str) -> None:
    PodSettings.model_validate(value)
    assert words in problem(ObjectPodSettings, value)


def test_the_api_server_refuses_the_same_in_the_same_words() -> None:
    properties = structural_schema(ObjectPodSettings)["properties"]
    rules = properties["annotations"]["x-kubernetes-validations"]

    assert [rule["message"] for rule in rules][-1] == INJECTED_KEYS.message
    assert rules[-1]["rule"].startswith('self.all(key, key in ["sidecar.istio.io/inject", ')
    (rule,) = properties["env"]["items"]["properties"]["name"]["x-kubernetes-validations"]
    assert rule == {"rule": f'!self.matches("{READ_VARIABLES.pattern}")', "message": READ_VARIABLES.message}
    assert properties["env"]["x-kubernetes-list-map-keys"] == ["name"]
    assert properties["imagePullSecrets"]["x-kubernetes-list-map-keys"] == ["name"]


@given(st.text(), st.booleans())
def test_a_text_is_refused_if_and_only_if_it_matches(text: str, negated: bool) -> None:
    forbidden = Forbidden("^[a-f]+$", "expected another", except_=("face",), negated=negated)
    refused = bool(re.search("^[a-f]+$", text)) is not negated and text != "face"

    for value in (text, {text: ""}):
        if refused:
            with pytest.raises(ValueError, match="expected another"):
                forbidden.check(value)
        else:
            assert forbidden.check(value) is value
