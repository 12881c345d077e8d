"""OpenAPI becomes JSON Schema that refuses what the API server would drop."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.charts.schemas import METADATA, QUANTITY, strict, written

OPENAPI = {
    "definitions": {
        METADATA: {"type": "object", "properties": {"name": {"type": "string"}}},
        QUANTITY: {"type": "string"},
        "Pod": {
            "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Pod"}],
            "properties": {"metadata": {"$ref": f"#/definitions/{METADATA}"}, "tree": {"$ref": "#/definitions/Tree"}},
        },
        "Tree": {
            "properties": {"left": {"$ref": "#/definitions/Tree"}, "weight": {"$ref": f"#/definitions/{QUANTITY}"}}
        },
        "Unused": {"type": "string"},
    }
}
CRD = {
    "spec": {
        "group": "example.com",
        "names": {"kind": "Ferry"},
        "versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"properties": {"spec": {"type": "object"}}}}}],
    }
}


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"type": "string", "description": "x", "x-kubernetes-y": 1}, {"type": "string"}),
        ({"type": "string", "format": "int-or-string"}, {"type": ["integer", "string"]}),
        (
            {"x-kubernetes-int-or-string": True, "pattern": "^[0-9]+%$", "anyOf": []},
            {"type": ["integer", "string"], "pattern": "^[0-9]+%$"},
        ),
        ({"properties": {"a": {}}}, {"properties": {"a": {}}, "additionalProperties": False}),
        ({"properties": {"description": {}}}, {"properties": {"description": {}}, "additionalProperties": False}),
        (
            {"properties": {"a": {}}, "x-kubernetes-preserve-unknown-fields": True},
            {"properties": {"a": {}}},
        ),
        (
            {"additionalProperties": {"properties": {"a": {}}}},
            {"additionalProperties": {"properties": {"a": {}}, "additionalProperties": False}},
        ),
        (
            {"items": {"properties": {"a": {}}}},
            {"items": {"properties": {"a": {}}, "additionalProperties": False}},
        ),
        ({"anyOf": [{"properties": {"a": {}}}]}, {"anyOf": [{"properties": {"a": {}}}]}),
    ],
)
def test_a_node_becomes_strict(node: dict[str, Any], expected: dict[str, Any]) -> None:
    assert strict(node) == expected


def test_each_kind_gets_a_file_with_all_that_it_refers_to(tmp_path: Path) -> None:
    assert written(tmp_path, OPENAPI, [CRD]) == 2
    pod = json.loads((tmp_path / "v1" / "v1" / "pod.json").read_text())
    assert set(pod["definitions"]) == {METADATA, QUANTITY, "Tree"}
    assert pod["definitions"][QUANTITY] == {"type": ["string", "number"]}
    ferry = json.loads((tmp_path / "example.com" / "v1" / "ferry.json").read_text())
    assert set(ferry["definitions"]) == {METADATA}
    assert ferry["required"] == ["apiVersion", "kind"]
    assert ferry["properties"]["apiVersion"] == {"const": "example.com/v1"}
    assert ferry["properties"]["metadata"] == {"$ref": f"#/definitions/{METADATA}"}
