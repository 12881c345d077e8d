"""The CRDs in crds/ are what the models say, in the form that Kubernetes asks for."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from smbferry_api.crd import KINDS, Kind, crd, file_name, to_yaml

CRDS = Path(__file__).parents[3] / "crds"


def schemas(kind: Kind) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema node of a kind with its path."""
    root = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    todo = [("", root)]
    while todo:
        path, node = todo.pop()
        yield path, node
        todo += [(f"{path}.{k}", v) for k, v in node.get("properties", {}).items()]
        if isinstance(node.get("items"), dict):
            todo.append((f"{path}[]", node["items"]))
        if isinstance(node.get("additionalProperties"), dict):
            todo.append((f"{path}{{}}", node["additionalProperties"]))


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.kind)
def test_the_committed_file_is_what_the_models_generate(kind: Kind) -> None:
    assert (CRDS / file_name(kind)).read_text(encoding="utf-8") == to_yaml(kind)


def test_no_other_file_lies_in_crds() -> None:
    assert {p.name for p in CRDS.glob("*.yaml")} == {file_name(k) for k in KINDS} | {"kustomization.yaml"}


def test_kustomize_takes_them_all() -> None:
    base = yaml.safe_load((CRDS / "kustomization.yaml").read_text(encoding="utf-8"))
    assert sorted(base["resources"]) == sorted(file_name(k) for k in KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.kind)
def test_every_node_is_structural(kind: Kind) -> None:
    for path, node in schemas(kind):
        assert "$ref" not in node, path
        assert "title" not in node, path
        assert "type" in node or node.get("x-kubernetes-int-or-string"), path
        assert "anyOf" not in node or node.get("x-kubernetes-int-or-string"), path
        assert not ("properties" in node and "additionalProperties" in node), path


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.kind)
def test_conditions_are_a_map_by_type_so_that_two_writers_can_share_them(kind: Kind) -> None:
    conditions = dict(schemas(kind))[".status.conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    assert "default" not in conditions


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.kind)
def test_a_new_object_is_seen_as_not_yet_observed(kind: Kind) -> None:
    nodes = dict(schemas(kind))
    assert nodes[".status"]["default"] == {"observedGeneration": -1}
    assert nodes[".status.observedGeneration"]["default"] == -1


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.kind)
def test_a_status_has_no_defaults_of_its_own(kind: Kind) -> None:
    with_default = [p for p, n in schemas(kind) if p.startswith(".status") and "default" in n]
    assert sorted(with_default) == [".status", ".status.observedGeneration"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.kind)
def test_printer_columns_name_fields_that_exist(kind: Kind) -> None:
    paths = {re.sub(r"\[\]", "", p) for p, _ in schemas(kind)}
    for column in crd(kind)["spec"]["versions"][0]["additionalPrinterColumns"]:
        path = re.sub(r"\[\?\(@\.type=='\w+'\)\]", "", column["jsonPath"])
        assert path in paths or path.startswith(".metadata."), column


def test_a_list_answers_what_somebody_on_call_asks() -> None:
    shown = {kind.kind: {column.name for column in kind.columns if not column.wide} for kind in KINDS}
    assert shown["TransferTask"] >= {"Ready", "Reason", "Last success", "Schedule", "Next", "Suspended"}
    assert shown["TransferRun"] >= {"State", "Reason"}
    assert all("Reason" in columns for columns in shown.values())


def test_no_column_shows_the_age_of_a_time_to_come() -> None:
    dates = {column.json_path for kind in KINDS for column in kind.columns if column.type == "date"}
    assert dates == {".metadata.creationTimestamp", ".status.lastSuccessfulRun.completionTime"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.kind)
def test_every_string_and_list_a_person_writes_is_bounded(kind: Kind) -> None:
    for path, node in schemas(kind):
        if not path.startswith(".spec") or "enum" in node:
            continue
        if node.get("type") == "string" and "{}" not in path:
            assert "maxLength" in node, path
        if node.get("type") == "array":
            assert "maxItems" in node, path


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.kind)
def test_patterns_are_such_as_the_api_server_can_compile(kind: Kind) -> None:
    for path, node in schemas(kind):
        assert not re.search(r"\(\?[=!<]", node.get("pattern", "")), path


def test_the_file_is_plain_yaml_without_anchors() -> None:
    for kind in KINDS:
        text = to_yaml(kind)
        assert yaml.safe_load(text) == crd(kind)
        assert not re.search(r"(^|\s)[&*]id\d+", text)
