"""The admission policies speak of what the operator builds and of what it owns: they are kept in step with the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from smbferry_api.agent_contract import (
    AGENT_CONTAINER,
    RUN_SIDES,
    SCRATCH_DIR,
    SID_MAP_DIR,
    SPOOL_DIR,
    AgentCommand,
    Side,
    Stage,
    identity_variable,
    keytab_dir,
    krb5_config_dir,
)
from smbferry_api.conditions import IDENTITY_CHECKS, LOCATION_CHECKS, ConditionType
from smbferry_api.pod_settings import INJECTED_KEYS, READ_VARIABLES, SECURITY_KEYS
from smbferry_api.snapshot import VARIABLE
from smbferry_operator.decide.naming import HASH_LENGTH, MAX_LABEL, PREFIX, short_hash
from smbferry_operator.decide.owned import OBSERVED, OWNED
from smbferry_operator.model import Kind

ROOT = Path(__file__).parents[3]
BASE = [made for made in yaml.safe_load_all((ROOT / "charts" / "kustomize" / "smbferry.yaml").read_text()) if made]
POLICIES = {made["metadata"]["name"].removeprefix("smbferry-"): made["spec"] for made in BASE
            if made["kind"] == "ValidatingAdmissionPolicy"}  # fmt: skip
BINDINGS = [made["spec"] for made in BASE if made["kind"] == "ValidatingAdmissionPolicyBinding"]
CRDS = {made["spec"]["names"]["kind"]: made for file in (ROOT / "crds").glob("smbferry.io_*.yaml")
        for made in yaml.safe_load_all(file.read_text())}  # fmt: skip


def variable(policy: str, name: str) -> str:
    (found,) = (each["expression"] for each in POLICIES[policy]["variables"] if each["name"] == name)
    return str(found)


def texts(policy: str) -> str:
    return " ".join(each["expression"] for each in POLICIES[policy]["validations"])


def test_each_policy_denies_and_lets_nothing_pass_that_it_cannot_evaluate() -> None:
    assert [binding["policyName"] for binding in BINDINGS] == [f"smbferry-{name}" for name in POLICIES]
    assert all(binding["validationActions"] == ["Deny"] for binding in BINDINGS)
    assert {policy["failurePolicy"] for policy in POLICIES.values()} == {"Fail"}
    assert all(each["message"] for policy in POLICIES.values() for each in policy["validations"])
    (of_identities,) = (binding["paramRef"] for binding in BINDINGS if "paramRef" in binding)
    assert of_identities == {"selector": {}, "parameterNotFoundAction": "Deny"}


def test_the_operator_is_bounded_by_the_name_of_its_account_and_agents_by_the_names_that_it_gives_them() -> None:
    (deployment,) = (made for made in BASE if made["kind"] == "Deployment")
    account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
    conditions = {name: policy["matchConditions"][0]["expression"] for name, policy in POLICIES.items()}
    by_the_operator = (
        f"request.userInfo.username == 'system:serviceaccount:{deployment['metadata']['namespace']}:{account}'"
    )

    assert conditions.pop("reports") == (
        f"request.userInfo.username.matches('^system:serviceaccount:[^:]+:({'|'.join(PREFIX.values())})-.+-[a-z2-7]{{{HASH_LENGTH}}}$')"
    )
    assert set(conditions.values()) == {by_the_operator}
    assert re.fullmatch(r"[a-z2-7]{8}", short_hash("x"))
    assert f"< {MAX_LABEL - 1 - HASH_LENGTH} ?" in variable("jobs", "prefix") == variable("access", "prefix")


def test_all_that_the_operators_permissions_let_it_create_or_change_is_bounded() -> None:
    (role,) = (
        made for made in BASE if made["kind"] == "ClusterRole" and made["metadata"]["name"].endswith("-operator")
    )
    creates = {(group, resource) for rule in role["rules"] for group in rule["apiGroups"]
               for resource in rule["resources"] if {"create", "patch"} & set(rule["verbs"])}  # fmt: skip
    bounded = {(group, resource) for policy in POLICIES.values() for rule in policy["matchConstraints"]["resourceRules"]
               for group in rule["apiGroups"] for resource in rule["resources"]}  # fmt: skip
    statuses = {(group, resource) for group, resource in creates if resource.endswith("/status")}

    assert creates - statuses - {("events.k8s.io", "events")} <= bounded


def test_agents_work_only_with_the_image_of_the_chart() -> None:
    values = yaml.safe_load((ROOT / "charts" / "smbferry" / "values.yaml").read_text())
    assert variable("jobs", "repository") == f"'{values['image']['agent']['repository']}'"


def test_the_mounts_are_those_of_agents() -> None:
    paths = {"scratch": SCRATCH_DIR, "spool": SPOOL_DIR, "sid-map": SID_MAP_DIR}
    for side in Side:
        paths |= {f"{side}-keytab": keytab_dir(side), f"{side}-krb5": krb5_config_dir(side)}
    assert dict(re.findall(r"'([^']+)': '([^']+)'", variable("jobs", "paths"))) == paths


def test_the_commands_and_variables_are_those_of_agents() -> None:
    said = texts("jobs")
    names = "|".join(side.upper() for side in (Side.SELF, *RUN_SIDES))

    assert {command.value for command in AgentCommand} <= set(re.findall(r"'([a-z-]+)'", variable("jobs", "command")))
    assert all(f"'{stage.value}'" in said for stage in Stage if stage is not Stage.WHOLE)
    assert f"variables.agent.name == '{AGENT_CONTAINER}'" in said
    assert f"r'^SMBFERRY_({VARIABLE.removeprefix('SMBFERRY_')}(_[0-9]+)?|({names})_IDENTITY)$'" in said
    assert [identity_variable(side) for side in RUN_SIDES] == [
        f"SMBFERRY_{side.upper()}_IDENTITY" for side in RUN_SIDES
    ]
    assert f"r'{READ_VARIABLES.pattern}'" in said


def test_the_keys_of_injectors_are_those_that_objects_may_not_set() -> None:
    said = texts("jobs")
    assert f"r'{INJECTED_KEYS.pattern}'" in said
    assert f"r'{SECURITY_KEYS.pattern}'" in said
    assert all(f'"{key}"' in said for key in INJECTED_KEYS.except_)


@pytest.mark.fault(222)
def test_agents_may_write_every_field_that_the_operator_does_not_own_and_no_other() -> None:
    owned: dict[str, Any] = {
        kind: set(re.findall(r"'(\w+)'", names))
        for kind, names in re.findall(r"'(\w+)': \[([^\]]*)\]", variable("reports", "owned"))
    }
    kinds = (Kind.IDENTITY, Kind.LOCATION, Kind.RUN)

    assert owned == {kind.value: {OBSERVED, *OWNED[kind]} for kind in kinds}
    for kind in kinds:
        status = CRDS[kind.value]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
        assert owned[kind.value] <= set(status["properties"])


def test_the_conditions_that_agents_may_not_write_are_all_but_those_of_their_checks() -> None:
    of_tasks = {ConditionType.IN_SYNC, ConditionType.ON_SCHEDULE}
    summaries = set(re.findall(r"'(\w+)'", variable("reports", "summaries")))
    assert summaries == {*ConditionType} - {*IDENTITY_CHECKS} - {*LOCATION_CHECKS} - of_tasks
