"""JSON Schemas by which kubeconform judges manifests without a network: from Kubernetes' own OpenAPI description and
from CustomResourceDefinitions. Strict: a field that the API server would drop is an error.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

Schema = dict[str, Any]
# kubeconform fills it in: the group is the version's own name where there is none (v1/v1/configmap.json).
LOCATION: Final = "{{.Group}}/{{.ResourceAPIVersion}}/{{.ResourceKind}}.json"
METADATA: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
REFERENCE: Final = "#/definitions/"
INT_OR_STRING: Final[Schema] = {"type": ["integer", "string"]}


def written(folder: Path, openapi: Mapping[str, Any], crds: Iterable[Mapping[str, Any]]) -> int:
    """Writes one file per kind below `folder`; returns how many."""
    definitions = {name: strict(node) for name, node in openapi["definitions"].items()}
    # A quantity may be written as a number.
    definitions[QUANTITY] = {"type": ["string", "number"]}
    count = 0
    for path, schema in (*_built_in(openapi, definitions), *_custom(crds, definitions)):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(schema), encoding="utf-8")
        count += 1
    return count


def strict(node: Schema) -> Schema:
    """A node of an OpenAPI schema as JSON Schema that refuses unknown fields."""
    if node.get("x-kubernetes-int-or-string") or node.get("format") == "int-or-string":
        return {**INT_OR_STRING, **{key: node[key] for key in ("pattern", "maxLength") if key in node}}
    made = {key: value for key, value in node.items() if key != "description" and not key.startswith("x-")}
    for name in ("properties", "definitions"):
        if name in made:
            made[name] = {key: strict(value) for key, value in made[name].items()}
    for name in ("items", "additionalProperties"):
        if isinstance(made.get(name), dict):
            made[name] = strict(made[name])
    for name in ("allOf", "anyOf", "oneOf"):
        if name in made:  # there only conditions stand: what fields there are is said beside them
            made[name] = [{k: v for k, v in part.items() if k != "description"} for part in made[name]]
    open_ended = node.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in made
    if "properties" in made and not open_ended:
        made["additionalProperties"] = False
    return made


def _built_in(openapi: Mapping[str, Any], definitions: Mapping[str, Schema]) -> Iterator[tuple[str, Schema]]:
    for name, node in openapi["definitions"].items():
        served = node.get("x-kubernetes-group-version-kind", [])
        if len(served) == 1:  # WatchEvent and DeleteOptions have many: they are in no manifest
            root = definitions[name]
            yield _path(served[0]["group"], served[0]["version"], served[0]["kind"]), _whole(root, definitions)


def _custom(crds: Iterable[Mapping[str, Any]], definitions: Mapping[str, Schema]) -> Iterator[tuple[str, Schema]]:
    for crd in crds:
        spec = crd["spec"]
        for version in spec["versions"]:
            root = strict(version["schema"]["openAPIV3Schema"])
            root["properties"]["metadata"] = {"$ref": REFERENCE + METADATA}
            root["properties"] |= {"apiVersion": {"const": f"{spec['group']}/{version['name']}"}}
            root["properties"] |= {"kind": {"const": spec["names"]["kind"]}}
            yield _path(spec["group"], version["name"], spec["names"]["kind"]), _whole(root, definitions)


def _path(group: str, version: str, kind: str) -> str:
    return f"{group or version}/{version}/{kind.lower()}.json"


def _whole(root: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """The schema with every definition that it refers to, and those refer to."""
    needed: dict[str, Schema] = {}
    todo = [root]
    while todo:
        for name in _references(todo.pop()):
            if name not in needed:
                needed[name] = definitions[name]
                todo.append(needed[name])
    return {**root, "required": sorted({*root.get("required", []), "apiVersion", "kind"}), "definitions": needed}


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        target = node.get("$ref")
        if isinstance(target, str):
            yield target.removeprefix(REFERENCE)
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
