"""Every command in README and docs is run by a test: each has its place, and none of the places is out of date."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.documented import windows
from tests.documented.commands import ROOT, Command, DocsError, Prompt, blocks, in_blocks
from tests.documented.places import (
    ELSEWHERE,
    ENDS_WITH,
    FOLLOWED,
    MENTIONED,
    PROGRAMS,
    RUN_AS,
    Place,
    documented,
    of,
    place_of,
    shown,
)
from tests.documented.run import Reader, put_datasync, with_names

from smbferry_cli.arguments import parser
from smbferry_cli.main import main
from smbferry_cli.verbs.arguments import IN_CLUSTER

if TYPE_CHECKING:
    from collections.abc import Collection

TEXTS = {command.text for command in shown()}
CRDS = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("smbferry.io_*.yaml"))]
NAMES = {
    name: crd
    for crd in CRDS
    for names in [crd["spec"]["names"]]
    for name in (names["singular"], names["plural"], *names.get("shortNames", []))
}
GOES_OUT = re.compile(r"kubectl get (\w+)[^|]* -o (?:jsonpath|custom-columns)='?(.*)")


def name_of(command: Command) -> str:
    return f"{command.page}: {' '.join(command.text.split())[:70]}"


def test_every_command_has_a_place_where_it_is_run() -> None:
    assert [name_of(command) for command in documented() if place_of(command) is None] == []


@pytest.mark.parametrize(
    "table", [ELSEWHERE, RUN_AS, MENTIONED, FOLLOWED, ENDS_WITH], ids=["else", "as", "mentioned", "followed", "ends"]
)
def test_what_is_listed_is_still_in_the_docs(table: Collection[str]) -> None:
    assert [text for text in table if text not in TEXTS] == []


def test_every_program_that_is_listed_is_still_in_the_docs() -> None:
    shell = {key for key in PROGRAMS if key not in windows.PROGRAMS}
    used = {command.program for command in documented()} | {
        " ".join(command.text.split()[:2]) for command in documented()
    }
    assert shell - used == set()
    typed = {name for command in of(Place.WINDOWS) for name in windows.programs(command.text)}
    assert set(windows.PROGRAMS) - typed == set()


def test_what_is_not_run_as_it_stands_is_done_by_a_file_that_is_there() -> None:
    assert [text for text, elsewhere in ELSEWHERE.items() if not (ROOT / elsewhere.done_by).is_file()] == []


@pytest.mark.parametrize("command", of(Place.WINDOWS), ids=name_of)
def test_what_is_typed_on_windows_is_written_as_windows_takes_it(command: Command) -> None:
    assert windows.programs(command.text)


@pytest.mark.parametrize(
    "text",
    [
        "Get-ADUser svc-src -Proprties Enabled",
        "Get-AdUsr svc-src",
        "Get-Acl 'C:\\x",
        "(Get-Acl x).Sddl)",
        "Get-WinEvent -FilterHashtable @{LogName='Security'; Id=4625 -MaxEvents 5",
        "setspn /q cifs/x; ktpas /out x",
    ],
)
def test_a_slip_in_what_is_typed_on_windows_is_seen(text: str) -> None:
    with pytest.raises(windows.WindowsSyntaxError):
        windows.programs(text)


@pytest.mark.parametrize("command", [command for command in documented() if command.program == "smbferry"], ids=name_of)
def test_smbferry_takes_what_the_docs_give_it(command: Command) -> None:
    words = typed(command.text).split()[1:]
    if words == ["--version"]:
        return
    parser("1").parse_args(words)


@pytest.mark.parametrize("verb", sorted(IN_CLUSTER))
def test_every_command_for_a_cluster_is_in_the_docs_and_so_run_on_one(verb: str) -> None:
    assert [command for command in of(Place.CLUSTER) if f"smbferry {verb} " in command.text]


def typed(text: str) -> str:
    """The command alone, with names that objects can have for placeholders."""
    alone = re.split(r" [|>] ", text.replace("\\\n", " "))[0]
    return with_names(alone, dict.fromkeys(("RUN", "TASK", "IDENTITY", "LOCATION"), "name"))


def test_every_field_that_the_docs_have_kubectl_print_is_in_the_schema() -> None:
    seen = 0
    for command in of(Place.CLUSTER):
        asked = GOES_OUT.search(command.text)
        if not asked or asked[1] not in NAMES:
            continue
        for path in paths(asked[2]):
            seen += 1
            assert has(NAMES[asked[1]], path), f"{command.page}: {path} is not a field of {asked[1]}"
    assert seen > 30


def paths(expression: str) -> list[str]:
    """The fields that a jsonpath or custom columns name, with the fields of a range under the range's."""
    if "{" not in expression:
        return [column.partition(":")[2].strip("'") for column in expression.split(",")]
    found, around = [], ""
    for part in re.findall(r"\{([^}]*)\}", expression):
        if part.startswith("range "):
            around = part.removeprefix("range ")
        elif part == "end":
            around = ""
        elif part.startswith("."):
            found.append(around + part)
    return found


def has(crd: dict[str, Any], path: str) -> bool:
    """Whether an object of the kind can have the field."""
    steps = re.sub(r"\[[^\]]*\]", ".[]", path).strip(".").split(".")
    if steps[0] == "metadata":
        return True
    node = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for step in steps:
        node = node.get("items") if step == "[]" else node.get("properties", {}).get(step)
        if node is None:
            return False
    return True


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the pages speak of."""
    folder = tmp_path_factory.mktemp("reader")
    for name in ("svc-src.keytab", "svc-dst.keytab"):
        (folder / name).write_bytes(b"\x05\x02" + b"\x00" * 16)
    put_datasync(folder, source="a.example.com/x", destination="b.example.com/y", principal="svc@EXAMPLE.COM")
    summary = {"schema": "smbferry.io/report/v1", "run": "nightly-x7", "task": "nightly", "state": "Succeeded"}
    (folder / "nightly-x7.summary.json").write_text(json.dumps(summary))
    (folder / "nightly-x7.files.jsonl.gz").write_bytes(gzip.compress(b'{"kind":"Header"}\n'))
    return folder


@pytest.mark.parametrize("command", [c for c in of(Place.UNIT) if c.program == "make"], ids=name_of)
def test_make_has_the_targets_that_are_named(command: Command) -> None:
    assert Reader(ROOT, os.environ, {"make": "make --dry-run"}).types(command)


@pytest.mark.parametrize("command", [c for c in of(Place.UNIT) if c.program == "smbferry"], ids=name_of)
def test_what_needs_no_network_runs_as_it_is_written(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    text, _, target = command.text.replace("\\\n", " ").partition(" > ")
    words = shlex.split(text)[1:]
    if words == ["--version"]:
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
        return
    assert main(words) == 0
    said = capsys.readouterr().out
    if words[0] == "completion":
        assert said
        return
    if target:
        Path(target).write_text(said, encoding="utf-8")
    made = {"init": "migration/40-task.yaml", "import": "transfer.yaml", "report": "nightly-x7.html"}
    assert Path(made[words[0]]).stat().st_size > 100


def test_names_are_replaced_whole_and_at_once() -> None:
    names = {"RUN": "TASK-1", "TASK": "nightly", "svc-src": "t-1", "svc-src@CORP.EXAMPLE.COM": "t-1@CORP.EXAMPLE.COM"}
    text = "get RUN TASK -l RUNNING svc-src-keytab svc-src svc-src@CORP.EXAMPLE.COM"
    assert with_names(text, names) == "get TASK-1 nightly -l RUNNING svc-src-keytab t-1 t-1@CORP.EXAMPLE.COM"


PAGE = """\
```console
$ one \\
    --more |
  less
said by it
> Get-Two      # a remark
$ three <<'END'
kind: Three
END
ktutil: wkt four
```
"""


def test_commands_are_told_from_what_they_print() -> None:
    assert [(c.prompt, c.text) for c in in_blocks("page", PAGE)] == [
        (Prompt.SHELL, "one \\\n    --more |\n  less"),
        (Prompt.POWERSHELL, "Get-Two"),
        (Prompt.SHELL, "three <<'END'\nkind: Three\nEND"),
        (Prompt.KTUTIL, "wkt four"),
    ]


@pytest.mark.parametrize("text", ["```\nx\n```\n", "```toml\nx\n```\n", "```console\n$ x\n"])
def test_a_block_that_can_not_be_read_is_no_block_without_commands(text: str) -> None:
    with pytest.raises(DocsError):
        list(blocks("page", text))


def test_a_command_that_is_never_ended_is_seen() -> None:
    with pytest.raises(DocsError, match="is not ended"):
        list(in_blocks("page", "```console\n$ x |\n```\n"))
