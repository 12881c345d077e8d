"""Removes what may be secret from objects and texts. Pure.

Nothing of what is collected should hold a secret. People may still put one where none belongs: into a variable of the
agents, a URL or an annotation.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from smbferry_api.names import GROUP

REMOVED: Final = "(removed)"
SHOWN_VARIABLES: Final = frozenset(
    f"SMBFERRY_{name}"
    for name in (
        "AGENT_IMAGE",
        "AGENT_IMAGE_PULL_POLICY",
        "AGENT_START_DEADLINE",
        "AGENT_USER_IDS",
        "EVENTS_SOURCE",
        "LEASE_NAME",
        "LOG_FORMAT",
        "LOG_LEVEL",
        "RUNS",
        "RUNS_PER_NAMESPACE",
        "RUNS_PER_SERVER",
        "RUN_TTL",
        "TASKS_WITH_SERIES",
        "WATCH_NAMESPACES",
        "WATCH_SECRETS",
    )
)
"""Variables of the operator that are settings; the values of all others are removed."""
_SECRETS: Final = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"(?<=://)[^/\s@\"'?#]+(?=@)"),  # user and password of a URL
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),  # a token of a service account
    re.compile(r"\bwhsec_[\w+/=-]+"),
    re.compile(r"(?i)(?<=\bbearer )[\w.~+/=-]{8,}"),
)


def scrubbed(text: str) -> str:
    """The text without what looks like a secret."""
    for pattern in _SECRETS:
        text = pattern.sub(REMOVED, text)
    return text


def cleaned(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The object without values of variables, foreign annotations, managed fields, and what looks like a secret."""
    metadata = {name: value for name, value in (obj.get("metadata") or {}).items() if name != "managedFields"}
    found: dict[str, Any] = _cleaned({**obj, "metadata": metadata})
    return found


def _cleaned(value: Any, key: str = "") -> Any:
    match value:
        case str():
            return scrubbed(value)
        case Mapping() if key == "annotations":
            return {name: _cleaned(inner) for name, inner in value.items() if name.partition("/")[0] == GROUP}
        case Mapping():
            return {name: _cleaned(inner, name) for name, inner in value.items()}
        case list() if key == "env":
            return [_variable(inner) for inner in value]
        case list():
            return [_cleaned(inner) for inner in value]
        case _:
            return value


def _variable(entry: Any) -> Any:
    if not isinstance(entry, Mapping):
        return REMOVED
    if "value" in entry and entry.get("name") not in SHOWN_VARIABLES:
        return {**_cleaned(entry), "value": REMOVED}
    return _cleaned(entry)
