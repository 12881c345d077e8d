"""What the chart takes for all agents is what the operator understands and objects take, by the same names."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from smbferry_api.pod_settings import (
    OWN_KEYS,
    READ_VARIABLES,
    SECURITY_KEYS,
    PodSettings,
    SecurityContext,
    SeLinuxOptions,
)
from smbferry_api.task import AgentSpec

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "smbferry"
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
PLACED: dict[str, Any] = yaml.safe_load(
    (ROOT / "tests" / "charts" / "values" / "placed.yaml").read_text(encoding="utf-8")
)
OF_THE_CHART = {"checkResources", "startDeadline"}


def names(model: type[Any]) -> set[str]:
    return {str(field.alias) for field in model.model_fields.values()}


def test_the_values_of_agents_have_the_names_of_the_fields_of_objects() -> None:
    fields = names(PodSettings)

    assert set(VALUES["agent"]) == fields | OF_THE_CHART
    assert set(SCHEMA["properties"]["agent"]["properties"]) == fields | OF_THE_CHART
    assert names(AgentSpec) == fields | {"parallelism", "activeDeadline"}
    context = SCHEMA["definitions"]["agentSecurityContext"]["properties"]
    assert set(context) == names(SecurityContext)
    assert set(context["seLinuxOptions"]["properties"]) == names(SeLinuxOptions)


def test_helm_refuses_what_the_operator_would_not_start_with() -> None:
    definitions = SCHEMA["definitions"]
    labels = [part["propertyNames"]["not"]["pattern"] for part in definitions["agentLabels"]["allOf"][1:]]
    annotations = [part["propertyNames"]["not"]["pattern"] for part in definitions["agentAnnotations"]["allOf"][1:]]
    variable = SCHEMA["properties"]["agent"]["properties"]["env"]["items"]["properties"]["name"]

    assert labels == [OWN_KEYS.pattern]
    assert annotations == [OWN_KEYS.pattern, SECURITY_KEYS.pattern]
    assert variable["allOf"][1]["not"]["pattern"] == READ_VARIABLES.pattern


@pytest.mark.fault(193)
def test_the_operator_may_not_change_a_job_so_it_competes_with_no_queue_for_whether_it_is_suspended() -> None:
    base = (ROOT / "charts" / "kustomize" / "smbferry.yaml").read_text(encoding="utf-8")
    roles = [made for made in yaml.safe_load_all(base) if made["kind"] in {"Role", "ClusterRole"}]
    rules = [rule for role in roles for rule in role["rules"] if "jobs" in rule["resources"]]

    assert [rule["verbs"] for rule in rules] == [["get", "list", "watch", "create", "delete"]]


def test_the_values_file_that_has_all_of_them_does_have_all_and_the_operator_accepts_it() -> None:
    agent = {name: value for name, value in PLACED["agent"].items() if name not in OF_THE_CHART}

    assert set(agent) == names(PodSettings)
    PodSettings.model_validate(agent)
