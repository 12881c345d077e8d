"""The snapshot of a task that a run works by, as the environment of the run's agents holds it.

It is part of the Jobs that the operator creates. The API server lets nobody change the containers of a Job, and whoever
may create Jobs may mount any Secret of the namespace anyway: nobody gains anything by forging a snapshot (ADR 19).
"""

import base64
from collections.abc import Mapping
from typing import Final

from smbferry_api.run import ResolvedTask

VARIABLE: Final = "SMBFERRY_TASK"
"""The first part; a second and third, where the snapshot is long, are SMBFERRY_TASK_1 and SMBFERRY_TASK_2."""
PART: Final = 100_000
"""Bytes in one part: Linux allows 128 KiB for a variable."""


def environment_of(task: ResolvedTask) -> dict[str, str]:
    """The variables that hold the snapshot, by name: JSON in Base64.

    So nothing in a path or a filter looks like a reference to a variable, which Kubernetes would replace.
    """
    text = base64.b64encode(task.model_dump_json(by_alias=True, exclude_none=True).encode()).decode()
    parts = [text[start : start + PART] for start in range(0, len(text), PART)]
    return {_name(number): part for number, part in enumerate(parts)}


def text_in(environment: Mapping[str, str]) -> str:
    """The snapshot, still encoded; empty where there is none."""
    parts: list[str] = []
    while (part := environment.get(_name(len(parts)))) is not None:
        parts.append(part)
    return "".join(parts)


def decoded(text: str) -> str:
    """What `text_in` found, as JSON.

    Raises:
        ValueError: it is no snapshot.
    """
    return base64.b64decode(text, validate=True).decode()


def read_snapshot(text: str) -> ResolvedTask:
    """Reads what `text_in` found.

    Raises:
        ValueError: it is no snapshot.
    """
    return ResolvedTask.model_validate_json(decoded(text), extra="ignore")


def _name(number: int) -> str:
    return f"{VARIABLE}_{number}" if number else VARIABLE
