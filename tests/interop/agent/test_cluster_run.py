"""The transfer command as a pod runs it: a TransferRun from an API server, the real domain, the status written back."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from lab.support.domain.trees import Wanted
from tests.support.api_server import ApiServer

from smbferry_agent import cluster, run_watch
from smbferry_agent.errors import AgentError
from smbferry_agent.report.api_client import ObjectKey
from smbferry_api import agent_contract
from smbferry_api.agent_contract import Side
from smbferry_api.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.interop.agent.scene import Scene

pytestmark = pytest.mark.takes(15)

KEY = ObjectKey("TransferRun", "ns", "run")


@pytest.fixture
def server(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """An API server with the run, and the scene's mounts where a pod has them."""
    mounted = tmp_path / "mounted"
    for side, identity in scene.identities.items():
        (mounted / side).mkdir(parents=True)
        for part in ("keytab", "krb5"):
            (mounted / side / part).symlink_to(identity.folder / part)
    monkeypatch.setattr(agent_contract, "IDENTITY_ROOT", str(mounted))
    monkeypatch.setattr(cluster, "SCRATCH_DIR", str(tmp_path / "scratch"))
    monkeypatch.setattr(run_watch, "_POLL_SECONDS", 0.1)
    before = signal.getsignal(signal.SIGTERM)
    with ApiServer(tmp_path) as running:
        running.objects[KEY.path] = manifest(scene)
        yield running
    signal.signal(signal.SIGTERM, before)


def manifest(scene: Scene, *, cancel: bool = False) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "run",
            "namespace": "ns",
            "uid": "5b877571-e66e-4bb6-9ea4-79fc1ec9f3ea",
            "creationTimestamp": "2026-11-21T12:00:00Z",
        },
        "spec": {"taskRef": {"name": "task"}, "cancel": cancel},
    }


def written(server: ApiServer) -> list[dict[str, Any]]:
    return [body["status"] for method, _, body in server.requests if method == "PATCH"]


def test_a_run_ends_with_its_last_status_written(server: ApiServer, scene: Scene) -> None:
    assert cluster.transfer(server.client(), "ns", "run", scene.task()) is ExitCode.DONE
    last = written(server)[-1]
    assert last["progress"]["percent"] == "100%"
    assert last["phases"]["transfer"]["state"] == "Succeeded"
    assert last["security"]["destination"]["dialect"] == "3.1.1"
    assert not {"state", "conditions", "startTime", "observedGeneration"} & set(last)
    assert len(written(server)) < 20


def test_what_stands_in_the_run_beside_the_snapshot_changes_nothing(server: ApiServer, scene: Scene) -> None:
    """A status that somebody wrote by an agent's token, and a spec from before the snapshot lay in the Job."""
    elsewhere = scene.task().model_dump(mode="json", by_alias=True, exclude_unset=True)
    elsewhere["source"]["path"] = "/somewhere/else"
    server.objects[KEY.path]["status"] = {"task": elsewhere}
    server.objects[KEY.path]["spec"]["task"] = elsewhere
    assert cluster.transfer(server.client(), "ns", "run", scene.task()) is ExitCode.DONE


def test_an_api_server_that_goes_away_stops_no_run_and_its_end_is_told_when_it_is_back(
    server: ApiServer, scene: Scene
) -> None:
    scene.source.seed([Wanted("big.bin", size=50_000_000)])

    def away() -> None:
        server.seen(2)
        server.status = 503
        server.seen(6)
        server.status = 200

    thread = threading.Thread(target=away)
    thread.start()
    assert cluster.transfer(server.client(), "ns", "run", scene.task()) is ExitCode.DONE
    thread.join()
    assert written(server)[-1]["progress"]["percent"] == "100%"


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_a_run_that_is_cancelled_or_deleted_ends_cleanly(server: ApiServer, scene: Scene, how: str) -> None:
    scene.source.seed([Wanted(f"big-{i}.bin", size=60_000_000) for i in range(6)])

    def stop() -> None:
        server.seen(4)
        if how == "cancel":
            server.objects[KEY.path] = manifest(scene, cancel=True)
        else:
            del server.objects[KEY.path]

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(AgentError) as raised:
        cluster.transfer(server.client(), "ns", "run", scene.task())
    thread.join()
    assert raised.value.exit_code is ExitCode.CANCELLED
    assert set(scene.destination.tree()) <= set(scene.source.tree())


def test_a_missing_secret_at_one_side_is_the_runs_failure(server: ApiServer, scene: Scene) -> None:
    (scene.identities[Side.SOURCE].folder / "keytab" / "keytab").unlink()
    with pytest.raises(AgentError) as raised:
        cluster.transfer(server.client(), "ns", "run", scene.task())
    assert raised.value.exit_code is ExitCode.CONFIGURATION
    failure = written(server)[-1]["failure"]
    assert failure["reason"] == "SecretNotFound"
    assert failure["message"].startswith("Source: ")
