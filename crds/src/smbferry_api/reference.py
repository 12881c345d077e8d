"""Generates the reference page of each kind: `python -m smbferry_api.reference DIRECTORY`.

The pages use the same schema as the CustomResourceDefinitions, so every field of a model is documented.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from smbferry_api.conditions import ABNORMAL_TRUE, IDENTITY_CHECKS, LOCATION_CHECKS, ConditionType
from smbferry_api.crd import KINDS, Column, Kind, Schema, crd
from smbferry_api.generated import write
from smbferry_api.names import GROUP, VERSION

_KSTATUS: Final = (ConditionType.RECONCILING, ConditionType.STALLED)
CONDITIONS: Final[dict[str, tuple[ConditionType, ...]]] = {
    "KerberosIdentity": (ConditionType.READY, *IDENTITY_CHECKS, *_KSTATUS),
    "SmbLocation": (ConditionType.READY, *LOCATION_CHECKS, *_KSTATUS),
    "TransferTask": (ConditionType.READY, ConditionType.IN_SYNC, *_KSTATUS),
    "TransferRun": (ConditionType.SUCCEEDED, *_KSTATUS),
}
_LONGEST_DEFAULT: Final = 40
_AT_LEAST, _AT_MOST = "must be at least ", "must be at most "


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field: path below spec or status, type, default in YAML, and description."""

    path: str
    type: str
    default: str
    required: bool
    description: str


def fields(schema: Schema, path: str = "") -> Iterator[FieldRow]:
    """Yields every field of an object's schema, depth first, in model order; not those of objects that are open."""
    required = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        full = f"{path}{name}"
        yield FieldRow(full, _type(field), _default(field), name in required, _meaning(field))
        if field.get("x-kubernetes-preserve-unknown-fields"):
            continue
        yield from fields(field, f"{full}.")
        if isinstance(items := field.get("items"), dict):
            yield from fields(items, f"{full}[].")
        if isinstance(values := field.get("additionalProperties"), dict):
            yield from fields(values, f"{full}.*.")


def _type(field: Schema) -> str:
    if words := field.get("enum"):
        return " \\| ".join(f"`{word}`" for word in words)
    if field.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    if field.get("format") == "date-time":
        return "time"
    return str(field.get("type", "any"))


def _default(field: Schema) -> str:
    default = field.get("default")
    if default is None or default in ({}, []) or default == "":
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, list):
        text = ", ".join(str(item) for item in default)
        return f"`{text}`" if len(text) <= _LONGEST_DEFAULT else "see below"
    return f"`{default}`"


def _meaning(field: Schema) -> str:
    """Returns the description and the API server's validation rules as one table cell."""
    parts = [" ".join(str(field.get("description", "")).split())]
    rules = [str(rule["message"]) for rule in field.get("x-kubernetes-validations", ())]
    low = next((rule.removeprefix(_AT_LEAST) for rule in rules if rule.startswith(_AT_LEAST)), field.get("minimum"))
    high = next((rule.removeprefix(_AT_MOST) for rule in rules if rule.startswith(_AT_MOST)), field.get("maximum"))
    parts += [_sentence(rule) for rule in rules if not rule.startswith((_AT_LEAST, _AT_MOST))]
    if low is not None:
        parts.append(f"{low} to {high}." if high is not None else f"At least {low}.")
    default = field.get("default")
    if isinstance(default, list) and _default(field) == "see below":
        parts.append(f"By default: {', '.join(f'`{item}`' for item in default)}.")
    return " ".join(part for part in parts if part).replace("|", "\\|")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _table(rows: list[FieldRow], *, with_defaults: bool) -> list[str]:
    head = ["| field | type | default | meaning |", "|---|---|---|---|"] if with_defaults else None
    lines = head or ["| field | type | meaning |", "|---|---|---|"]
    for row in rows:
        cells = [f"`{row.path}`{' *' if row.required and with_defaults else ''}", row.type]
        if with_defaults:
            cells.append(row.default)
        lines.append(f"| {' | '.join([*cells, row.description])} |")
    return lines


def _columns(columns: tuple[Column, ...]) -> str:
    return ", ".join(f"{c.name}{' (`-o wide`)' if c.wide else ''}" for c in columns)


def _conditions(kind: Kind) -> list[str]:
    lines = ["| condition | healthy status |", "|---|---|"]
    lines += [f"| `{t.value}` | {'False' if t in ABNORMAL_TRUE else 'True'} |" for t in CONDITIONS[kind.kind]]
    return [*lines, "", "Each unhealthy reason has a page in the [runbook](../runbook/README.md)."]


def page(kind: Kind) -> str:
    """Returns the Markdown page of a kind."""
    properties: dict[str, Any] = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    spec, status = list(fields(properties["spec"])), list(fields(properties["status"]))
    status = [row for row in status if not row.path.startswith("conditions[]")]
    rules = [rule["message"] for rule in properties["spec"].get("x-kubernetes-validations", ())]
    return "\n".join(
        [
            f"# {kind.kind}",
            "",
            "<!-- Generated from the models by `make generate`; do not edit. -->",
            "",
            f"{kind.description} {' '.join((kind.spec.__doc__ or '').split())}",
            "",
            f"`apiVersion: {GROUP}/{VERSION}` · namespaced · short name `{kind.short_name}`",
            "",
            f"`kubectl get {kind.short_name}` shows: Name, {_columns(kind.columns)}.",
            "",
            "## spec",
            "",
            *_table(spec, with_defaults=True),
            "",
            "\\* required.",
            *([] if not rules else ["", *(f"- {_sentence(rule)}" for rule in rules)]),
            "",
            "## status",
            "",
            *_table(status, with_defaults=False),
            "",
            "## Conditions",
            "",
            *_conditions(kind),
            "",
        ]
    )


def main() -> int:
    """Writes the pages. With --check, lists files that differ and returns 1."""
    parser = argparse.ArgumentParser(description="Generate the reference pages of smbferry's kinds.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page differs")
    options = parser.parse_args()
    pages = {options.directory / f"{kind.singular}.md": page(kind) for kind in KINDS}
    return write(pages, check=options.check)


if __name__ == "__main__":
    raise SystemExit(main())
