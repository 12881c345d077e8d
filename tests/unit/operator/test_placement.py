"""How the settings of agents' pods merge: installation < identity < location, or < task."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.support.builders import NOW, SETTINGS, ends, job_of, run, task

from smbferry_api.pod_settings import PodSettings
from smbferry_api.task import AgentSpec
from smbferry_operator.decide.manifests.pods import check_settings, merged, run_settings
from smbferry_operator.decide.observation import RunObservation
from smbferry_operator.decide.run import decide_run
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.parse import InvalidObjectError

BATCH, SPOT = ({"key": key, "operator": "Exists"} for key in ("batch", "spot"))
ZONES, HOSTS = (
    {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway"} for key in ("zone", "hostname")
)
STRICT = ZONES | {"whenUnsatisfiable": "DoNotSchedule"}


def settings(**fields: Any) -> PodSettings:
    return PodSettings.model_validate(fields)


def shown(merged_: PodSettings) -> dict[str, Any]:
    dumped: dict[str, Any] = merged_.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {name: value for name, value in dumped.items() if value}


@pytest.mark.parametrize(
    ("field", "first", "second", "expected"),
    [
        ("labels", {"a": "1", "b": "1"}, {"b": "2", "c": "2"}, {"a": "1", "b": "2", "c": "2"}),
        ("annotations", {"a": "1"}, {"a": ""}, {"a": ""}),
        ("nodeSelector", {"disk": "fast"}, {"site": "north"}, {"disk": "fast", "site": "north"}),
        ("tolerations", [BATCH], [SPOT], [BATCH, SPOT]),
        ("tolerations", [BATCH, SPOT], [SPOT, BATCH], [BATCH, SPOT]),
        ("tolerations", [BATCH], [], [BATCH]),
        ("topologySpreadConstraints", [ZONES], [ZONES, HOSTS], [ZONES, HOSTS]),
        ("topologySpreadConstraints", [ZONES], None, [ZONES]),
        ("topologySpreadConstraints", [ZONES, HOSTS], [ZONES | {"maxSkew": 2}], [ZONES | {"maxSkew": 2}, HOSTS]),
        ("topologySpreadConstraints", [ZONES], [STRICT], [ZONES, STRICT]),
        ("affinity", {"nodeAffinity": {"x": 1}}, {"podAffinity": {"y": 1}}, {"podAffinity": {"y": 1}}),
        ("affinity", {"nodeAffinity": {"x": 1}}, {}, {"nodeAffinity": {"x": 1}}),
        ("resources", {"limits": {"cpu": "1"}}, {"requests": {"cpu": "1"}}, {"requests": {"cpu": "1"}}),
        ("priorityClassName", "low", "lower", "lower"),
        ("priorityClassName", "low", None, "low"),
        (
            "securityContext",
            {"fsGroup": 5, "runAsUser": 5, "supplementalGroups": [5]},
            {"runAsUser": 6, "supplementalGroups": [6]},
            {"fsGroup": 5, "runAsUser": 6, "supplementalGroups": [6]},
        ),
        ("imagePullSecrets", [{"name": "a"}], [{"name": "b"}, {"name": "a"}], [{"name": "a"}, {"name": "b"}]),
        (
            "env",
            [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}],
            [{"name": "A", "value": "2"}],
            [{"name": "A", "value": "2"}, {"name": "B", "value": "1"}],
        ),
    ],
)
def test_each_field_merges_in_its_way(field: str, first: Any, second: Any, expected: Any) -> None:
    assert shown(merged(settings(**{field: first}), settings(**{field: second}))) == {field: expected}


@pytest.mark.parametrize(
    ("of_chart", "of_task", "expected"),
    [
        ({}, {}, [HOSTS]),
        ({"topologySpreadConstraints": [ZONES]}, {}, [HOSTS, ZONES]),
        ({"topologySpreadConstraints": [HOSTS | {"maxSkew": 2}]}, {}, [HOSTS | {"maxSkew": 2}]),
        ({"affinity": {"nodeAffinity": {"x": 1}}}, {}, [HOSTS]),
        ({}, {"affinity": {"nodeAffinity": {"x": 1}}}, []),
        ({}, {"topologySpreadConstraints": [ZONES]}, [ZONES]),
    ],
)
def test_several_agents_spread_unless_their_task_says_where_they_go(
    of_chart: dict[str, Any], of_task: dict[str, Any], expected: list[Any]
) -> None:
    installed = AgentSettings(image="x", pod=settings(**of_chart))

    placed = run_settings(installed, AgentSpec.model_validate(of_task), spread=[HOSTS])

    assert list(placed.topology_spread_constraints or ()) == expected


def test_what_nobody_sets_is_empty() -> None:
    assert shown(merged(None, PodSettings(), None)) == {}


def test_two_layers_may_have_more_together_than_one() -> None:
    layers = [settings(labels={f"{name}{number}": "x" for number in range(32)}) for name in "ab"]

    assert len(merged(*layers).labels or {}) == 64


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [({}, {"kubernetes.io/os": "linux"}), ({"kubernetes.io/os": "plan9"}, {"kubernetes.io/os": "plan9"})],
)
def test_agents_run_on_linux_unless_something_else_is_asked_for(
    wanted: dict[str, str], expected: dict[str, str]
) -> None:
    of_task = AgentSpec.model_validate({"nodeSelector": wanted})

    assert run_settings(SETTINGS, of_task).node_selector == expected
    assert check_settings(SETTINGS, of_task).node_selector == expected


def test_a_check_has_the_resources_of_checks_unless_its_object_names_others() -> None:
    installed = AgentSettings(
        image="x", pod=settings(resources={"limits": {"cpu": "9"}}), check_resources={"limits": {"cpu": "1"}}
    )

    assert check_settings(installed, None).resources == {"limits": {"cpu": "1"}}
    assert check_settings(installed, settings(resources={"limits": {"cpu": "2"}})).resources == {"limits": {"cpu": "2"}}
    assert run_settings(installed, PodSettings()).resources == {"limits": {"cpu": "9"}}


def test_a_location_inherits_from_its_identity_so_that_both_checks_may_share_a_pod() -> None:
    of_identity = settings(nodeSelector={"site": "north"}, tolerations=[BATCH])

    alone = check_settings(SETTINGS, of_identity)
    assert check_settings(SETTINGS, of_identity, None) == alone
    assert check_settings(SETTINGS, of_identity, of_identity) == alone
    assert (check_settings(SETTINGS, of_identity, settings(nodeSelector={"site": "south"})).node_selector or {})[
        "site"
    ] == "south"


MAPS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)
LAYERS = st.builds(
    lambda labels, keys: settings(labels=labels, tolerations=[{"key": key} for key in keys]),
    MAPS,
    st.lists(st.sampled_from("abc"), max_size=4),
)


@given(LAYERS, LAYERS, LAYERS)
def test_layers_may_be_merged_in_groups_and_twice(a: PodSettings, b: PodSettings, c: PodSettings) -> None:
    assert merged(merged(a, b), c) == merged(a, b, c) == merged(a, merged(b, c))
    assert merged(a, a) == merged(a)


KEYS = st.sampled_from(
    ["team", "smbferry.io/owner-uid", "app.kubernetes.io/name", "job-name", "kueue.x-k8s.io/queue-name", "TMPDIR", "A"]
)
WANTED = st.builds(
    lambda labels, names, user: {
        "labels": labels,
        "annotations": labels,
        "env": [{"name": name, "value": "x"} for name in names],
        "securityContext": {"runAsUser": user},
    },
    st.dictionaries(KEYS, st.just("x"), max_size=3),
    st.sets(st.sampled_from(["TMPDIR", "SMBFERRY_TASK", "HTTPS_PROXY", "LD_PRELOAD"]), max_size=3),
    st.integers(0, 2),
)


@pytest.mark.fault(190, 191)
@given(WANTED, WANTED)
def test_whatever_is_accepted_a_pod_stays_what_it_was(of_chart: dict[str, Any], of_task: dict[str, Any]) -> None:
    try:
        installed = AgentSettings(image="x", pod=settings(**of_chart))
        wanted = task(agent=of_task)
    except (ValidationError, InvalidObjectError):
        return  # refused
    plain = job_of(decide_run(RunObservation(run(), task(), ends()), NOW, SETTINGS))["spec"]["template"]
    placed = job_of(decide_run(RunObservation(run(), wanted, ends()), NOW, installed))["spec"]["template"]

    assert plain["metadata"]["labels"].items() <= placed["metadata"]["labels"].items()
    assert plain["metadata"]["annotations"].items() <= placed["metadata"]["annotations"].items()
    before, after = plain["spec"], placed["spec"]
    context = after.pop("securityContext")
    assert context["runAsUser"] > 0
    assert (context["runAsNonRoot"], context["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    (agent,), (same,) = after["containers"], before["containers"]
    own = {variable["name"] for variable in same["env"]}
    names = ["TMPDIR", "SMBFERRY_TASK", "SMBFERRY_SOURCE_IDENTITY", "SMBFERRY_DESTINATION_IDENTITY"]
    assert [variable["name"] for variable in agent["env"] if variable["name"] in own] == names
    for field in ("command", "args", "volumeMounts", "securityContext"):
        assert agent[field] == same[field]
    for field in ("serviceAccountName", "automountServiceAccountToken", "volumes", "restartPolicy"):
        assert after[field] == before[field]
