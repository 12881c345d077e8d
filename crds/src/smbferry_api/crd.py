"""Generates the CustomResourceDefinitions from the models: `python -m smbferry_api.crd DIRECTORY...`.

pydantic generates JSON schema; Kubernetes requires a structural schema (no $ref, no anyOf around types, no titles).
This module converts one into the other, so that the models remain the only place where fields are described.
"""

import argparse
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel

from smbferry_api.class_name import CLASS_IS_FIXED
from smbferry_api.fields import Spec, Status
from smbferry_api.generated import write
from smbferry_api.identity import KerberosIdentitySpec, KerberosIdentityStatus
from smbferry_api.location import LOCATION_RULES, SmbLocationSpec, SmbLocationStatus
from smbferry_api.names import CATEGORY, GROUP, PLURALS, VERSION
from smbferry_api.run import RUN_RULES, TransferRunSpec
from smbferry_api.run_status import TransferRunStatus
from smbferry_api.sharing import SHARING_RULES
from smbferry_api.task import TASK_RULES, TransferTaskSpec, TransferTaskStatus

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; `wide` columns appear only with -o wide."""

    name: str
    json_path: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of the API."""

    kind: str
    plural: str
    short_name: str
    spec: type[Spec]
    status: type[Status]
    columns: tuple[Column, ...]
    description: str

    @property
    def singular(self) -> str:
        """The lower-case singular."""
        return self.kind.lower()


def _condition_column(name: str, type_: str, *, field: str = "status", wide: bool = False) -> Column:
    return Column(name, f".status.conditions[?(@.type=='{type_}')].{field}", wide=wide)


CLASS: Final = Column("Class", ".spec.className", wide=True)
AGE: Final = Column("Age", ".metadata.creationTimestamp", "date")

KERBEROS_IDENTITY: Final = Kind(
    "KerberosIdentity",
    PLURALS["KerberosIdentity"],
    "kid",
    KerberosIdentitySpec,
    KerberosIdentityStatus,
    (
        Column("Principal", ".spec.principal"),
        _condition_column("Ready", "Ready"),
        _condition_column("Reason", "Ready", field="reason"),
        Column("Kvno", ".status.kdc.kvno", "integer"),
        Column("Clock offset", ".status.kdc.clockOffset", wide=True),
        Column("Ticket until", ".status.ticket.endTime", wide=True),
        _condition_column("Message", "Ready", field="message", wide=True),
        CLASS,
        AGE,
    ),
    "A Kerberos principal with its keytab and krb5.conf, checked against the KDC.",
)
SMB_LOCATION: Final = Kind(
    "SmbLocation",
    PLURALS["SmbLocation"],
    "smbloc",
    SmbLocationSpec,
    SmbLocationStatus,
    (
        Column("Server", ".spec.server"),
        Column("Share", ".spec.share"),
        _condition_column("Ready", "Ready"),
        _condition_column("Reason", "Ready", field="reason"),
        Column("Cipher", ".status.server.cipher"),
        Column("Dialect", ".status.server.dialect", wide=True),
        Column("Access", ".status.maximalAccess", wide=True),
        _condition_column("Message", "Ready", field="message", wide=True),
        CLASS,
        AGE,
    ),
    "A folder on an SMB share, opened with a KerberosIdentity over encrypted SMB3.",
)
TRANSFER_TASK: Final = Kind(
    "TransferTask",
    PLURALS["TransferTask"],
    "xfer",
    TransferTaskSpec,
    TransferTaskStatus,
    (
        _condition_column("Ready", "Ready"),
        _condition_column("Reason", "Ready", field="reason"),
        _condition_column("In sync", "InSync"),
        Column("Active", ".status.activeRun"),
        Column("Last run", ".status.lastRun.state"),
        Column("Last success", ".status.lastSuccessfulRun.completionTime", "date"),
        Column("Schedule", ".spec.schedule.cron"),
        # Not a date: kubectl shows a time in the future as <invalid>.
        Column("Next", ".status.nextScheduleTime"),
        Column("Suspended", ".spec.suspend", "boolean"),
        Column("Source", ".spec.source.locationRef.name", wide=True),
        Column("Destination", ".spec.destination.locationRef.name", wide=True),
        _condition_column("Message", "Ready", field="message", wide=True),
        CLASS,
        AGE,
    ),
    "A transfer from one SmbLocation to another, with its schedule and options.",
)
TRANSFER_RUN: Final = Kind(
    "TransferRun",
    PLURALS["TransferRun"],
    "xrun",
    TransferRunSpec,
    TransferRunStatus,
    (
        Column("Task", ".spec.taskRef.name"),
        Column("State", ".status.state"),
        _condition_column("Reason", "Succeeded", field="reason"),
        Column("Progress", ".status.progress.percent"),
        Column("Files", ".status.progress.files"),
        Column("Bytes", ".status.progress.bytes"),
        Column("Rate", ".status.progress.rate"),
        Column("Duration", ".status.duration"),
        Column("Not carried", ".status.progress.notCarried"),
        Column("Failed", ".status.counters.files.failed", "integer", wide=True),
        Column("Snapshot", ".status.sourceSnapshot.time", wide=True),
        Column("On behalf of", ".spec.onBehalfOf.namespace", wide=True),
        _condition_column("Message", "Succeeded", field="message", wide=True),
        CLASS,
        AGE,
    ),
    "One execution of a TransferTask.",
)
KINDS: Final = (KERBEROS_IDENTITY, SMB_LOCATION, TRANSFER_TASK, TRANSFER_RUN)

RULES: Final[Mapping[type[Spec], list[dict[str, Any]]]] = {
    **SHARING_RULES,
    **LOCATION_RULES,
    **TASK_RULES,
    **RUN_RULES,
}

_DROPPED: Final = frozenset({"title", "$defs", "additionalProperties"})
_LIST_MAP_KEYS: Final = {"conditions": ["type"], "shards": ["index"], "env": ["name"], "imagePullSecrets": ["name"]}


class _Structural:
    """Converts one model's JSON schema into a structural schema."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.root: Schema = model.model_json_schema(by_alias=True, mode="validation")
        self.rules = {cls.__name__: rules for cls, rules in RULES.items()}

    def schema(self) -> Schema:
        return self._convert(self.root, self.root.get("title", ""))

    def _resolve(self, node: Schema) -> tuple[Schema, str]:
        """Returns the node with its reference resolved, and the referenced name. The node's own keys win."""
        if "$ref" not in node:
            return node, ""
        name = node["$ref"].rsplit("/", 1)[1]
        siblings = {k: v for k, v in node.items() if k != "$ref"}
        return {**self.root["$defs"][name], **siblings}, name

    def _convert(self, node: Schema, name: str = "") -> Schema:
        node, referenced = self._resolve(node)
        name = referenced or name
        if "anyOf" in node and not node.get("x-kubernetes-int-or-string"):
            return self._convert_optional(node)
        result = {k: v for k, v in node.items() if k not in _DROPPED}
        if result.get("default", ...) is None:
            del result["default"]
        if isinstance(extra := node.get("additionalProperties"), dict):
            result["additionalProperties"] = self._convert(extra)
        if "properties" in node:
            result["properties"] = {k: self._property(k, v) for k, v in node["properties"].items()}
        if "items" in node:
            result["items"] = self._convert(node["items"])
        if rules := self.rules.get(name):
            result["x-kubernetes-validations"] = rules
        return result

    def _convert_optional(self, node: Schema) -> Schema:
        """Converts `X | None` into an optional X: the API server prunes a null if the field is not nullable."""
        choices = [c for c in node["anyOf"] if c.get("type") != "null"]
        if len(choices) != 1:
            raise ValueError(f"a structural schema cannot contain the union {node['anyOf']}")
        chosen = self._convert(choices[0])
        chosen |= {k: v for k, v in node.items() if k not in _DROPPED | {"anyOf"} and v is not None}
        return chosen

    def _property(self, key: str, node: Schema) -> Schema:
        result = self._convert(node)
        if result.get("type") == "array":
            if keys := _LIST_MAP_KEYS.get(key):
                result |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys}
            else:
                result["x-kubernetes-list-type"] = "atomic"
        if result.get("type") == "object" and "properties" in result and "default" in result:
            result["default"] = {}  # each property has its own default
        return result


def _without_defaults(schema: Schema, *, keep: frozenset[str] = frozenset()) -> Schema:
    """Removes the defaults: a status reports what was found, so the API server must not fill in fields."""
    result = {k: v for k, v in schema.items() if k != "default"}
    if "properties" in result:
        result["properties"] = {k: (v if k in keep else _without_defaults(v)) for k, v in result["properties"].items()}
    if isinstance(result.get("items"), dict):
        result["items"] = _without_defaults(result["items"])
    return result


def structural_schema(model: type[BaseModel]) -> Schema:
    """Returns the structural schema of a spec or status model, for a CRD's openAPIV3Schema."""
    return _Structural(model).schema()


def crd(kind: Kind) -> Schema:
    """Returns the CustomResourceDefinition of a kind."""
    status = _without_defaults(structural_schema(kind.status), keep=frozenset({"observedGeneration"}))
    status["properties"]["observedGeneration"]["default"] = -1
    status["default"] = {"observedGeneration": -1}
    spec = structural_schema(kind.spec)
    spec["x-kubernetes-validations"] = [*spec.get("x-kubernetes-validations", ()), CLASS_IS_FIXED]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.singular,
                "shortNames": [kind.short_name],
                "categories": [CATEGORY],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": c.name, "type": c.type, "jsonPath": c.json_path} | ({"priority": 1} if c.wide else {})
                        for c in kind.columns
                    ],
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "description": kind.description,
                            "required": ["spec"],
                            "properties": {
                                "apiVersion": {"type": "string"},
                                "kind": {"type": "string"},
                                "metadata": {"type": "object"},
                                "spec": spec,
                                "status": status,
                            },
                        }
                    },
                }
            ],
        },
    }


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key and writes no anchors, so that diffs of the file are readable."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002 - PyYAML's signature
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: object) -> bool:
        return True


def to_yaml(kind: Kind) -> str:
    """Returns the content of the file for one kind."""
    body = yaml.dump(crd(kind), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    return f"# Generated from the models by `make generate`; do not edit.\n{body}"


def file_name(kind: Kind) -> str:
    """Returns the name of the kind's file in crds/."""
    return f"{GROUP}_{kind.plural}.yaml"


def main() -> int:
    """Writes the CRDs. With --check, lists files that differ and returns 1."""
    parser = argparse.ArgumentParser(description="Generate smbferry's CustomResourceDefinitions.")
    parser.add_argument("directories", type=Path, nargs="+")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file differs")
    options = parser.parse_args()
    places = itertools.product(KINDS, options.directories)
    return write({directory / file_name(kind): to_yaml(kind) for kind, directory in places}, check=options.check)


if __name__ == "__main__":
    raise SystemExit(main())
