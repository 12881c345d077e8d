"""The snapshot of a task in the environment of the run's agents.

It is part of the Jobs that the operator creates. A Job's containers are immutable, and whoever may create Jobs may
mount any Secret of the namespace anyway, so forging a snapshot gains nothing (ADR 19).
"""

import base64
from collections.abc import Mapping
from typing import Final

from smbferry_api.agent_contract import RUN_SIDES, identity_variable
from smbferry_api.run import ResolvedTask

VARIABLE: Final = "SMBFERRY_TASK"
"""Variable with the first part. Long snapshots continue in SMBFERRY_TASK_1 and SMBFERRY_TASK_2."""
PART: Final = 100_000
"""Maximum bytes per part: Linux allows 128 KiB for a variable."""


def environment_of(task: ResolvedTask) -> dict[str, str]:
    """Returns the environment variables that contain the snapshot, JSON in Base64, and the names of its identities.

    Base64 prevents Kubernetes from expanding variable references in paths and filters.
    """
    text = base64.b64encode(task.model_dump_json(by_alias=True, exclude_none=True).encode()).decode()
    parts = [text[start : start + PART] for start in range(0, len(text), PART)]
    return {_name(number): part for number, part in enumerate(parts)} | identities_of(task)


def identities_of(task: ResolvedTask) -> dict[str, str]:
    """Returns the variables with the name of each side's identity."""
    return {identity_variable(side): end.identity.name for side, end in zip(RUN_SIDES, task.ends, strict=False)}


def text_in(environment: Mapping[str, str]) -> str:
    """Returns the encoded snapshot, or an empty string if there is none."""
    parts: list[str] = []
    while (part := environment.get(_name(len(parts)))) is not None:
        parts.append(part)
    return "".join(parts)


def decoded(text: str) -> str:
    """Decodes the result of `text_in` to JSON.

    Raises:
        ValueError: not a snapshot.
    """
    return base64.b64decode(text, validate=True).decode()


def read_snapshot(text: str) -> ResolvedTask:
    """Parses the result of `text_in`.

    Raises:
        ValueError: not a snapshot.
    """
    return read_decoded(decoded(text))


def read_decoded(text: str) -> ResolvedTask:
    """Parses the result of `decoded`.

    Raises:
        ValueError: not a snapshot.
    """
    return ResolvedTask.model_validate_json(text, extra="ignore")


def _name(number: int) -> str:
    return f"{VARIABLE}_{number}" if number else VARIABLE
