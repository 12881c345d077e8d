"""Every option's every value has a test against the real domain, and the table that says so names tests that exist."""

from __future__ import annotations

import ast
from enum import StrEnum
from pathlib import Path
from typing import get_args

from tests.support.options_table import BESIDE, OTHERS, SWITCHES

from smbferry_api.run import TransferRunSpec
from smbferry_api.task_options import Filters, Options

INTEROP = Path(__file__).resolve().parents[2] / "interop" / "engine"


def values_of(kind: type) -> list[str]:
    """The values of an enumeration; none for anything else."""
    return [member.value for member in kind] if isinstance(kind, type) and issubclass(kind, StrEnum) else []


def alias(model: type[Options] | type[Filters] | type[TransferRunSpec], name: str) -> str:
    return model.model_fields[name].alias or name


def test_the_table_has_every_value_of_every_option_of_the_api_and_no_other() -> None:
    switches, others = set(), {"dryRun"}
    for name, field in Options.model_fields.items():
        found = [value for kind in (field.annotation, *get_args(field.annotation)) for value in values_of(kind)]
        switches |= {(alias(Options, name), value) for value in found}
        if not found:
            others.add(alias(Options, name))
    others |= {alias(Filters, name) for name in Filters.model_fields}
    assert set(SWITCHES) == switches
    assert set(OTHERS) == others
    assert alias(TransferRunSpec, "dry_run") == "dryRun"


def test_every_test_that_the_table_names_exists_and_asserts_something() -> None:
    there = {}
    for module in INTEROP.glob("test_*.py"):
        for node in ast.parse(module.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                there[node.name] = any(isinstance(part, ast.Assert | ast.Raise) for part in ast.walk(node))
    named = {test for table in (SWITCHES, OTHERS, BESIDE) for tests in table.values() for test in tests}
    assert named - set(there) == set()
    assert [test for test in sorted(named) if not there[test]] == []
