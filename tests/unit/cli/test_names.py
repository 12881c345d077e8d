"""Names that a shell completes: from the cluster, in time, and nothing where it does not answer."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from tests.unit.cli.fake_api import NAMESPACE, FakeApi, obj, run, task

from smbferry_api.exit_codes import ExitCode
from smbferry_cli import main
from smbferry_cli.arguments import parser
from smbferry_cli.cluster import Cluster
from smbferry_cli.completion import FILES, NO_FILES, candidates
from smbferry_cli.exits import ClusterError
from smbferry_cli.verbs import names as names_module
from smbferry_cli.verbs.arguments import IN_CLUSTER
from smbferry_cli.verbs.metavars import COMPLETED
from smbferry_cli.verbs.names import names

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

OBJECTS = (
    task("nightly"), task("weekly"), run("nightly-1"), run("nightly-2"), obj("KerberosIdentity", "svc-src"),
    obj("SmbLocation", "source"), {"kind": "Namespace", "metadata": {"name": "ferry"}},
    {"kind": "TransferTask", "metadata": {"name": "elsewhere", "namespace": "other"}},
)  # fmt: skip


def completed(words: str, api: FakeApi | None = None) -> list[str]:
    used = api or FakeApi(*OBJECTS)

    def found(metavar: str, typed: Mapping[str, str], begun: str) -> list[str]:
        return names(metavar, typed, begun, lambda chosen: Cluster(used, chosen.namespace or NAMESPACE))

    return candidates(parser("1"), words.split(" "), found, COMPLETED)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("trigger ", ["nightly", "weekly"]),
        ("suspend n", ["nightly"]),
        ("suspend nightly ", ["weekly"]),
        ("suspend -n other ", ["elsewhere"]),
        ("suspend --namespace=other ", ["elsewhere"]),
        ("cancel nightly-1 n", ["nightly-2"]),
        ("cancel --task ", ["nightly", "weekly"]),
        ("watch ", ["nightly", "run/nightly-1", "run/nightly-2", "weekly"]),
        ("watch n", ["nightly"]),
        ("resume run/", ["run/nightly-1", "run/nightly-2"]),
        ("recheck ", ["identity/svc-src", "location/source"]),
        ("recheck loc", ["location/source"]),
        ("recheck kid/s", ["kid/svc-src"]),
        ("recheck nothing/s", []),
        ("logs ", ["identity/svc-src", "location/source", "nightly-1", "nightly-2", "task/nightly", "task/weekly"]),
        ("logs -f task/w", ["task/weekly"]),
        ("get ", ["all", "identities", "locations", "runs", "tasks"]),
        ("get r", ["runs"]),
        ("get xrun ", ["nightly-1", "nightly-2"]),
        ("get runs nightly-1 ", ["nightly-2"]),
        ("get run/", ["run/nightly-1", "run/nightly-2"]),
        ("get all ", []),
        ("get tasks -n ", ["ferry"]),
    ],
)
def test_what_may_come_next(words: str, offered: list[str]) -> None:
    assert completed(words) == [*offered, NO_FILES]


@pytest.mark.parametrize("words", ["run ", "check ", "run a --task ", "import datasync "])
def test_files_are_offered_where_nothing_of_the_cluster_is_asked_for(words: str) -> None:
    api = FakeApi(*OBJECTS)
    assert completed(words, api) == [FILES]
    assert api.requests == []


def test_only_the_kind_of_a_begun_word_is_asked_for() -> None:
    api = FakeApi(*OBJECTS)
    completed("logs identity/", api)
    assert api.asked == [("list", "kerberosidentities", "smbferry.io")]


def test_what_the_user_may_not_list_is_not_offered() -> None:
    assert completed("suspend ", FakeApi(denied=frozenset({("list", "transfertasks")}))) == [NO_FILES]


def test_a_cluster_that_can_not_be_reached_offers_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    def connect(_chosen: argparse.Namespace) -> Cluster:
        raise ClusterError("cannot use the kubeconfig", ExitCode.CONFIGURATION)

    assert names("TASK", {}, "", connect) == []
    assert capfd.readouterr() == ("", "")


def test_a_credential_plugin_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names_module, "SECONDS", 0.01)
    never = threading.Event()

    def connect(_chosen: argparse.Namespace) -> Cluster:
        never.wait(60)
        raise ClusterError("nobody waits for this", ExitCode.NETWORK)

    assert names("TASK", {}, "", connect) == []
    never.set()


def test_contexts_are_those_of_the_kubeconfig(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config"
    config.write_text(
        "{apiVersion: v1, kind: Config, current-context: a, clusters: [{name: c, cluster: {server: 'https://x'}}], "
        "users: [{name: u, user: {}}], contexts: [{name: a, context: {cluster: c, user: u}}, "
        "{name: b, context: {cluster: c, user: u}}]}"
    )
    assert main.main(["__complete", "watch", "--kubeconfig", str(config), "--context", ""]) == 0
    assert capsys.readouterr().out.splitlines() == ["a", "b", NO_FILES]
    assert main.main(["__complete", "watch", "--kubeconfig", str(tmp_path / "none"), "--context", ""]) == 0
    assert capsys.readouterr().out.splitlines() == [NO_FILES]


@pytest.mark.parametrize(
    ("words", "code", "out", "err"),
    [
        (["__complete", "suspend", ""], ExitCode.DONE, f"{NO_FILES}\n", ""),
        (["get", "tasks"], ExitCode.CONFIGURATION, "", "Install smbferry with: pip install '.[kubectl]'"),
    ],
)
def test_without_the_packages_for_a_cluster(words: list[str], code: int, out: str, err: str) -> None:
    script = "import sys; sys.modules['kubernetes'] = None; from smbferry_cli.main import main; sys.exit(main())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, check=False, env=environment
    )
    assert (ended.returncode, ended.stdout) == (code, out)
    assert err in ended.stderr
    assert err or not ended.stderr


def test_every_argument_of_a_command_for_a_cluster_is_completed_or_free() -> None:
    top = parser("1")
    free = {"DIGEST", "DURATION", "NUMBER", "LINES", "LABELS", "FILE"}
    for name in IN_CLUSTER:
        command = next(a for a in top._actions if a.dest == "command").choices[name]  # type: ignore[index]
        for action in command._actions:
            takes = action.nargs != 0 and action.choices is None
            assert not takes or action.metavar in COMPLETED | free, (name, action.dest)
