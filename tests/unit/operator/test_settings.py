from datetime import timedelta
from pathlib import Path

import pytest

from smbferry_api.agent_contract import UserIds
from smbferry_api.pod_settings import PullSecret
from smbferry_operator.decide.limits import RunLimits
from smbferry_operator.decide.settings import AgentSettings, NetworkRules
from smbferry_operator.main import main
from smbferry_operator.settings import Settings, SettingsError, SinkSettings

IMAGE = {"SMBFERRY_AGENT_IMAGE": "smbferry/agent:1", "SMBFERRY_LEASE_NAMESPACE": "system"}


def test_only_the_agents_image_and_the_namespace_of_the_lease_are_needed() -> None:
    settings = Settings.read(IMAGE)

    assert settings.agent.image == "smbferry/agent:1"
    assert (settings.lease_namespace, settings.lease_name) == ("system", "smbferry-operator")
    assert settings.namespaces == ()
    assert not settings.watch_secrets
    assert settings.resync == timedelta(minutes=10)


def test_all_of_it() -> None:
    settings = Settings.read(
        IMAGE
        | {
            "SMBFERRY_WATCH_NAMESPACES": "a, b,",
            "SMBFERRY_AGENT_IMAGE_PULL_POLICY": "Never",
            "SMBFERRY_AGENT_POD": '{"imagePullSecrets": [{"name": "registry"}], "priorityClassName": "batch"}',
            "SMBFERRY_AGENT_USER_IDS": "Assigned",
            "SMBFERRY_CHECK_RESOURCES": '{"limits": {"memory": "1Gi"}}',
            "SMBFERRY_AGENT_NETWORK_POLICY": '{"apiServerPorts": [8443], "kdcPorts": [88, 750]}',
            "SMBFERRY_AGENT_START_DEADLINE": "5m",
            "SMBFERRY_RUN_TTL": "Never",
            "SMBFERRY_WATCH_SECRETS": "true",
            "SMBFERRY_WORKERS": "3",
            "SMBFERRY_RUNS_PER_SERVER": "none",
            "SMBFERRY_RUNS_PER_NAMESPACE": "7",
            "SMBFERRY_RESYNC": "1m",
            "SMBFERRY_CLASS_NAME": "branch",
            "SMBFERRY_TASKS_WITH_SERIES": "0",
            "HOSTNAME": "pod-1",
        },
        standalone=True,
    )

    assert settings.namespaces == ("a", "b")
    assert settings.watch_secrets
    assert settings.agent.image_pull_policy == "Never"
    assert settings.agent.start_deadline == timedelta(minutes=5)
    assert settings.agent.pod.image_pull_secrets == (PullSecret(name="registry"),)
    assert settings.agent.pod.priority_class_name == "batch"
    assert settings.agent.user_ids is UserIds.ASSIGNED
    assert settings.agent.run_ttl is None
    assert settings.agent.class_name == "branch"
    assert settings.agent.limits == RunLimits(per_server=None, per_namespace=7, total=100)
    assert settings.agent.check_resources == {"limits": {"memory": "1Gi"}}
    assert settings.agent.network == NetworkRules(kdc_ports=(88, 750), api_server_ports=(8443,))
    assert settings.tasks_with_series == 0
    assert (settings.workers, settings.instance, settings.standalone) == (3, "pod-1", True)


def test_agents_have_limits_if_the_installation_names_none() -> None:
    settings = Settings.read(IMAGE | {"SMBFERRY_AGENT_POD": '{"labels": {"team": "storage"}}'})

    assert settings.agent.pod.labels == {"team": "storage"}
    assert settings.agent.pod.resources == AgentSettings(image="").pod.resources


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AGENT_IMAGE", "", "SMBFERRY_AGENT_IMAGE is not set"),
        ("AGENT_IMAGE_PULL_POLICY", "Sometimes", "expected one of Always, IfNotPresent, Never"),
        ("LEASE_NAMESPACE", "", "SMBFERRY_LEASE_NAMESPACE is not set; expected the namespace of the Lease"),
        ("WORKERS", "0", "at least 1"),
        ("RUNS", "0", "expected a number of at least 1, or none for no limit"),
        ("RUN_TTL", "never", "expected a duration"),
        ("WORKERS", "many", "invalid literal"),
        ("CHECK_RESOURCES", "[]", "expected a JSON object"),
        ("CHECK_RESOURCES", "{", "Expecting"),
        ("AGENT_POD", "[]", "expected a JSON object"),
        ("AGENT_POD", '{"nodeselector": {}}', 'unknown field "nodeselector"; did you mean "nodeSelector"'),
        ("AGENT_POD", '{"labels": {"smbferry.io/task": "x"}}', "agent.labels: reserved"),
        ("AGENT_POD", '{"env": [{"name": "LD_PRELOAD", "value": "x"}]}', "agent.env.0.name: reserved"),
        ("AGENT_POD", '{"securityContext": {"runAsUser": 0}}', "agent.securityContext.runAsUser: expected at least 1"),
        ("AGENT_USER_IDS", "Auto", "expected one of Fixed, Assigned"),
        ("CLASS_NAME", "Branch", "expected at most 63 lower-case letters, digits and hyphens, as in spec.className"),
        ("CLASS_NAME", "a" * 64, "expected at most 63"),
        ("AGENT_NETWORK_POLICY", "[88]", "expected a JSON object"),
        ("AGENT_NETWORK_POLICY", '{"smbPorts": [445]}', "got smbPorts"),
        ("AGENT_NETWORK_POLICY", '{"kdcPorts": []}', "kdcPorts: expected a list of port numbers"),
        ("AGENT_NETWORK_POLICY", '{"kdcPorts": [0]}', "from 1 to 65535"),
        ("AGENT_NETWORK_POLICY", '{"kdcPorts": [true]}', "kdcPorts: expected a list of port numbers"),
        ("RESYNC", "often", "expected a duration"),
        ("WATCH_SECRETS", "yes", "expected one of true, false"),
        ("LOG_LEVEL", "loud", "expected one of debug, info, warning"),
    ],
)
def test_what_can_not_be_used_is_named(name: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Settings.read(IMAGE | {f"SMBFERRY_{name}": value})


def test_a_bad_setting_does_not_print_the_variables_of_agents() -> None:
    pod = '{"env": [{"name": "HTTPS_PROXY", "value": "http://ann:hunter2@proxy:3128"}], "labels": {"job-name": "x"}}'

    with pytest.raises(SettingsError) as raised:
        Settings.read(IMAGE | {"SMBFERRY_AGENT_POD": pod})

    assert "hunter2" not in str(raised.value)
    assert str(raised.value).startswith("SMBFERRY_AGENT_POD: agent.labels: reserved")


def test_a_bad_environment_ends_the_command_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SMBFERRY_AGENT_IMAGE", raising=False)

    assert main([]) == 2
    assert (
        capsys.readouterr().err
        == "smbferry-operator: SMBFERRY_AGENT_IMAGE is not set; expected the image that agents run\n"
    )


def test_a_sink_of_events() -> None:
    sink = Settings.read(
        IMAGE | {"SMBFERRY_EVENTS_SINK": "https://events.example.com/x?y=1", "SMBFERRY_EVENTS_SOURCE": "cluster-a"}
    ).sink

    assert sink == SinkSettings("https://events.example.com/x?y=1", Path("/var/run/smbferry/events"), "cluster-a")
    assert sink.host == "events.example.com"
    assert Settings.read(IMAGE).sink is None


@pytest.mark.parametrize(
    "url", ["ftp://a/b", "https://user:hunter2@a/b", "https:///b", "events.example.com", "http://a/#b"]
)
def test_a_sink_that_is_no_url_is_refused_and_no_password_shown(url: str) -> None:
    with pytest.raises(SettingsError, match=r"SMBFERRY_EVENTS_SINK.*expected an http or https URL") as refused:
        Settings.read(IMAGE | {"SMBFERRY_EVENTS_SINK": url})
    assert "hunter2" not in str(refused.value)
