"""The reference page of the command line: made from the parser, with every command and what it needs."""

from __future__ import annotations

import pytest
from tests.documented.commands import ROOT

from smbferry_api.names import GROUP
from smbferry_cli.arguments import parser
from smbferry_cli.completion import candidates
from smbferry_cli.reference import NAME, page
from smbferry_cli.verbs.permissions import PERMISSIONS

COMMANDS = [name for name in candidates(parser("1"), [""], lambda *_: [], ())[:-1] if name != "help"]


def test_the_committed_page_is_the_one_that_the_parser_gives() -> None:
    assert (ROOT / "docs" / "reference" / NAME).read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_on_the_page(command: str) -> None:
    section = page().partition(f"## smbferry {command}\n")[2].partition("\n## ")[0]
    options = candidates(parser("1"), [command, "--"], lambda *_: [], ())[:-1]
    assert [option for option in options if option != "--help" and option not in section] == []


@pytest.mark.parametrize("command", sorted(PERMISSIONS))
def test_what_a_command_needs_is_on_the_page(command: str) -> None:
    (row,) = [line for line in page().splitlines() if line.startswith(f"| `{command}` |")]
    for needed in PERMISSIONS[command]:
        suffix = f".{needed.group}" if needed.group not in {"", GROUP} else ""
        assert f"`{needed.resource}{suffix}`" in row


def test_no_cell_is_broken_by_a_bar() -> None:
    rows = [line for line in page().replace("\\|", "").splitlines() if line.startswith("| `")]
    assert {line.count("|") for line in rows} == {3, 4}
