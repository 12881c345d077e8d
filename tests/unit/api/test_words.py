"""The words depend on nothing but the standard library."""

import ast
import sys
from pathlib import Path

import pytest

import smbferry_words

PACKAGE = Path(smbferry_words.__file__).parent
ALLOWED = {*sys.stdlib_module_names, "smbferry_words"}


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_words_import_only_the_standard_library(file: Path) -> None:
    nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= ALLOWED
