"""The nemesis' plan is its seed's, and its watcher sees what it looks for."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from lab.nemesis.guarded import exposed
from lab.nemesis.plan import API_SERVER_PAUSE, Kind, plan
from lab.nemesis.watcher import DEEP, begun_anew, doubled_runs, two_writers

from smbferry_api.names import ANNOTATION_TRIGGER


def test_a_seed_is_a_plan() -> None:
    assert plan(7, 900) == plan(7, 900)
    assert plan(7, 900) != plan(8, 900)
    assert plan(7, 900)[: len(plan(7, 120))] == plan(7, 120), "a longer one begins as the shorter does"


def test_every_kind_of_fault_comes_within_two_minutes() -> None:
    for seed in range(50):
        assert {fault.kind for fault in plan(seed, 150)} == set(Kind)


def test_the_api_server_gets_time_to_come_back() -> None:
    moments = [fault.at for fault in plan(3, 3600) if fault.kind is Kind.API_SERVER_KILLED]
    assert len(moments) > 3
    assert all(later - sooner >= API_SERVER_PAUSE for sooner, later in pairwise(moments))


def pod(run: str, where: str, index: str | None = None) -> dict[str, Any]:
    labels = {"smbferry.io/run": run} | ({"batch.kubernetes.io/job-completion-index": index} if index else {})
    return {"metadata": {"labels": labels, "annotations": {"smbferry.io/destination": where}}}


@pytest.mark.parametrize(
    ("pods", "said"),
    [
        pytest.param([pod("a", "//s:445/dst/x"), pod("b", "//s:445/dst/y")], 0, id="beside each other"),
        pytest.param([pod("a", "//s:445/dst/x"), pod("b", "//s:445/dst/xy")], 0, id="a name that begins alike"),
        pytest.param([pod("a", "//s:445/dst/x"), pod("b", "//s:445/dst/X")], 1, id="the same but for case"),
        pytest.param([pod("a", "//s:445/dst"), pod("b", "//s:445/dst/x")], 1, id="one within the other"),
        pytest.param([pod("a", "//s:445/dst"), pod("a", "//s:445/dst")], 1, id="two agents of a run"),
        pytest.param([pod("a", "//s:445/dst", "0"), pod("a", "//s:445/dst", "1")], 0, id="two shards"),
        pytest.param([pod("a", "//s:445/dst", "1"), pod("a", "//s:445/dst", "1")], 1, id="two agents of a shard"),
    ],
)
def test_two_writers_are_seen(pods: list[dict[str, Any]], said: int) -> None:
    assert len(list(two_writers(pods))) == said


def test_a_doubled_run_is_seen() -> None:
    def run(name: str, trigger: str) -> dict[str, Any]:
        return {
            "metadata": {"name": name, "annotations": {ANNOTATION_TRIGGER: trigger}},
            "spec": {"taskRef": {"name": "task"}},
        }

    assert list(doubled_runs([run("a", "one"), run("b", "two")])) == []
    assert list(doubled_runs([run("a", "one"), run("b", "one")])) == ["task, one: ['a', 'b']"]


@pytest.mark.parametrize(
    ("changed", "seen"),
    [
        pytest.param({}, True, id="all of it was written again"),
        pytest.param({"bytes": {"toTransfer": 64, "written": 30}}, False, id="it went on"),
        pytest.param({"edited": ["large/0.r0.bin"]}, False, id="the file was replaced meanwhile"),
        pytest.param({"edited": ["few/0/0.txt"]}, True, id="another file was replaced"),
        pytest.param({"run": "other"}, False, id="another run's agent was killed"),
        pytest.param({"attempts": 1}, False, id="one agent did it"),
    ],
)
def test_a_run_that_began_anew_is_seen(changed: dict[str, Any], seen: bool) -> None:
    whole = {"toTransfer": 64, "written": 64}
    run = {"task": "large", "run": "it", "state": "Succeeded", "attempts": 2, "edited": [], "bytes": whole} | changed
    killed = {"kind": "agent killed", "run": "it", "written": DEEP}
    assert begun_anew([run], [killed, {"kind": "agent evicted"}]) == ([run] if seen else [])
    assert begun_anew([run], [killed | {"written": DEEP - 1}]) == []


MAY = [{"admins"}, {"admins", "users"}, {"admins", "guests"}]


@pytest.mark.parametrize(
    ("path", "folder", "size", "allowed", "told"),
    [
        pytest.param("", True, 0, ["everyone"], False, id="the folder at the top was there before"),
        pytest.param("kept-1", True, 0, ["admins", "users"], False, id="a folder's number is in its name"),
        pytest.param("kept-2", True, 0, ["admins", "users"], True, id="a folder that lets in others"),
        pytest.param("kept-2", True, 0, None, False, id="a folder that the server has just made"),
        pytest.param(".smbferry-1", True, 0, ["users"], True, id="a folder of ours lets in nobody"),
        pytest.param("kept-1/f", False, 3001, ["admins", "users"], False, id="a file's number is in its size"),
        pytest.param("kept-1/f", False, 3000, ["admins", "users"], True, id="a file that lets in others"),
        pytest.param("kept-1/f", False, 3000, None, True, id="content without a list"),
        pytest.param("kept-1/f", False, 0, None, False, id="no content"),
    ],
)
def test_whoever_is_let_in_and_is_not_at_the_source_is_seen(
    path: str, *, folder: bool, size: int, allowed: list[str] | None, told: bool
) -> None:
    assert bool(list(exposed({path: (folder, size, allowed)}, MAY))) is told
