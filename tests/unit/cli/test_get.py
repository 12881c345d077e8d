"""`smbferry get`: the table of kubectl, in one piece for a pipe, and the objects themselves."""

from __future__ import annotations

import json

import pytest
import yaml
from tests.unit.cli.fake_api import FakeApi, called, obj, ready, run, task

from smbferry_cli.exits import ClusterError
from smbferry_cli.verbs.table import Shown, lines

LONG = "Expected " + "x" * 300
OBJECTS = (
    {**task("nightly", suspend=True), "status": {"conditions": [ready("True", "TaskReady", "It can run.")]}},
    {**task("weekly"), "status": {"conditions": [ready("False", "LocationNotReady", LONG)]}},
    {**task("yearly"), "metadata": {"name": "yearly", "namespace": "other"}},
    obj("KerberosIdentity", "svc-src"),
    obj("SmbLocation", "source"),
    run("nightly-7", "Succeeded"),
)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            "get tasks",
            ["NAME      READY   SUSPENDED   AGE",
             "nightly   True    true        5m",
             "weekly    False   false       5m"],
        ),
        (
            "get xfer nightly",
            ["NAME      READY   SUSPENDED   AGE",
             "nightly   True    true        5m"],
        ),
        (
            "get task/weekly -o wide",
            ["NAME     READY   SUSPENDED   MESSAGE" + " " * (len(LONG) - 4) + "AGE",
             f"weekly   False   false       {LONG}   5m"],
        ),
        (
            "get tasks -A",
            ["NAMESPACE   NAME      READY   SUSPENDED   AGE",
             "ferry       nightly   True    true        5m",
             "ferry       weekly    False   false       5m",
             "other       yearly            false       5m"],
        ),
        (
            "get tasks -n other",
            ["NAME     READY   SUSPENDED   AGE",
             "yearly           false       5m"],
        ),
        (
            "get all -n other",
            ["NAME                              READY   SUSPENDED   AGE",
             "transfertask.smbferry.io/yearly           false       5m"],
        ),
        ("get runs -o name", ["transferrun.smbferry.io/nightly-7"]),
        (
            "get all -o name",
            ["transfertask.smbferry.io/nightly", "transfertask.smbferry.io/weekly",
             "transferrun.smbferry.io/nightly-7", "kerberosidentity.smbferry.io/svc-src",
             "smblocation.smbferry.io/source"],
        ),
        ("get runs --selector smbferry.io/task=none", []),
        ("get tasks -n ferry weekly -o name", ["transfertask.smbferry.io/weekly"]),
    ],
)  # fmt: skip
def test_what_is_printed(words: str, expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert called(FakeApi(*OBJECTS), words) == 0
    assert capsys.readouterr().out.splitlines() == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("get runs -n none", 'No runs found in namespace "none".'),
        ("get runs -A -l a=b", "No runs found."),
        ("get all -n none", 'No objects of smbferry found in namespace "none".'),
    ],
)
def test_nothing_is_said_so_beside_the_output(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(FakeApi(*OBJECTS), words) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"{said}\n")


@pytest.mark.parametrize(("words", "read"), [("-o json", json.loads), ("-o yaml", yaml.safe_load)])
def test_objects_are_given_whole_but_for_what_nobody_reads(
    words: str, read: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(read)
    assert called(FakeApi(*OBJECTS), f"get run nightly-7 {words}") == 0
    one = read(capsys.readouterr().out)
    assert (one["kind"], one["status"], "managedFields" in one["metadata"]) == (
        "TransferRun", {"state": "Succeeded"}, False,
    )  # fmt: skip
    assert called(FakeApi(*OBJECTS), f"get tasks {words}") == 0
    several = read(capsys.readouterr().out)
    assert (several["kind"], [item["kind"] for item in several["items"]]) == ("List", ["TransferTask"] * 2)
    assert several["items"][0]["apiVersion"] == "smbferry.io/v1alpha1"


@pytest.mark.parametrize("output", ["table", "json"])
def test_a_name_that_is_not_there_is_told_with_a_similar_one(output: str) -> None:
    said = 'TransferTask "nightli" not found in namespace "ferry"; did you mean "nightly"?'
    with pytest.raises(ClusterError, match=r"nightli") as raised:
        called(FakeApi(*OBJECTS), f"get tasks nightli -o {output}")
    assert str(raised.value) == said


def test_text_of_a_server_does_not_reach_the_terminal_as_it_is() -> None:
    page = {"columnDefinitions": [{"name": "Name"}], "rows": [{"cells": ["a\x1b[31m\nb"]}]}
    assert [line.plain for line in lines([page], Shown())] == ["NAME", "a\\x1b[31m\\x0ab"]


def test_on_a_terminal_what_is_not_well_has_a_color() -> None:
    page = {"columnDefinitions": [{"name": "Name"}, {"name": "Ready"}], "rows": [{"cells": ["False", "False"]}]}
    (row,) = lines([page], Shown())[1:]
    assert [(row.plain[s.start : s.end], s.style) for s in row.spans] == [("False", "bold red")]
