"""`kubectl smbferry watch` on a real run: what holds it up, how far it is, how it ended."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import is_
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted
from tests.documented.run import with_smbferry

pytestmark = pytest.mark.takes(40)


@pytest.fixture(scope="module")
def environment_with_plugin(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where kubectl finds the plugin."""
    return with_smbferry(tmp_path_factory.mktemp("plugin"), scene.kube.environment)


def watch(scene: Scene, environment: dict[str, str], task: str, *more: str) -> subprocess.CompletedProcess[str]:
    words = ["kubectl", "smbferry", "watch", task, "-n", scene.kube.namespace, *more]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_a_run_is_watched_from_its_obstacle_to_its_end(scene: Scene, environment_with_plugin: dict[str, str]) -> None:
    scene.source.seed([Wanted("large.bin", size=8 << 20), Wanted("small.txt", size=9)])
    scene.domain.run("chmod", "0600", f"{scene.source.inside}/small.txt")
    # Applied before its locations are ready, and slow enough to be seen at work.
    scene.kube.apply(objects.task("watched", SOURCE, DESTINATION, options={"bytesPerSecond": "1Mi"}))
    done = watch(scene, environment_with_plugin, "watched", "-o", "json")
    assert done.returncode == 3, done.stderr
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    runs = [obj["status"] for obj in seen if obj["kind"] == "TransferRun" and "status" in obj]
    assert runs[-1]["state"] == "PartiallySucceeded"
    assert "Transferring" in {run.get("state") for run in runs}, "it is seen at work"
    assert "AccessDenied" in done.stderr, done.stderr


def test_what_is_over_is_told_as_a_summary(scene: Scene, environment_with_plugin: dict[str, str]) -> None:
    scene.kube.wait("transfertask", "watched", "over", is_("InSync", "False"), timeout=60)
    done = watch(scene, environment_with_plugin, "watched")
    assert done.returncode == 3, done.stderr
    assert "PartiallySucceeded" in done.stdout
    assert scene.reader.principal in done.stdout
    assert "No run is active or due" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nosuch"], 'TransferTask "nosuch" not found in namespace'),
        (["watched", "--context", "nosuch"], "cannot use the kubeconfig"),
    ],
)
def test_what_can_not_be_watched_is_said(
    words: list[str], said: str, scene: Scene, environment_with_plugin: dict[str, str]
) -> None:
    done = watch(scene, environment_with_plugin, *words)
    assert (done.returncode, said in done.stderr) == (10, True), done.stderr
    assert "Traceback" not in done.stderr


def test_kubectl_completes_it(scene: Scene, environment_with_plugin: dict[str, Any]) -> None:
    done = subprocess.run(
        ["kubectl", "__complete", "smbferry", "wat"],
        env=environment_with_plugin, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[0] == "watch"
