"""The release is upgraded, uninstalled and installed again while runs are under way: none is lost, none is doubled."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import yaml
from lab.support.cluster import objects
from lab.support.cluster.chart import ROOT, SYSTEM, install_chart, leading_pod, uninstall_chart
from lab.support.cluster.kube import ended, under_way
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted, differences

from smbferry_api.crd import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from lab.support.cluster.kube import Kube

pytestmark = pytest.mark.alone

SIZE, SLOW = 28 << 20, {"bytesPerSecond": "4Mi"}
NEXT, MEMORY = "99.0.0", "136Mi"
CRDS = [f"{kind.plural}.smbferry.io" for kind in KINDS]


def next_chart(folder: Path) -> Path:
    """The chart of a later version, whose CRD of tasks has one more field and one more column."""
    chart = folder / "smbferry"
    shutil.copytree(ROOT / "charts" / "smbferry", chart)
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    (chart / "Chart.yaml").write_text(yaml.safe_dump(about | {"version": NEXT, "appVersion": NEXT}))
    path = chart / "files" / "crds" / "smbferry.io_transfertasks.yaml"
    crd = yaml.safe_load(path.read_text())
    (version,) = crd["spec"]["versions"]
    fields = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    fields["note"] = {"type": "string", "description": "What this version has more."}
    version["additionalPrinterColumns"].append({"name": "Note", "type": "string", "jsonPath": ".spec.note"})
    path.write_text(yaml.safe_dump(crd))
    return chart


def columns(kube: Kube) -> list[str]:
    """Of `kubectl get transfertask`, as the cluster has them."""
    crd = kube.get("crd", "transfertasks.smbferry.io")
    assert crd is not None
    assert crd["status"]["storedVersions"] == ["v1alpha1"]
    (version,) = crd["spec"]["versions"]
    return [column["name"] for column in version["additionalPrinterColumns"]]


def jobs_of(kube: Kube, run: str) -> list[str]:
    """The uids of the run's Jobs."""
    return [job["metadata"]["uid"] for job in kube.list("jobs", f"smbferry.io/run={run}")]


def runs(kube: Kube) -> list[str]:
    """The names of all runs' tasks."""
    return sorted(run["spec"]["taskRef"]["name"] for run in kube.list("transferruns"))


def start(scene: Scene, task: str) -> str:
    """A run of a new task, under way."""
    scene.kube.apply(objects.task(task, SOURCE, DESTINATION, options=SLOW))
    run = scene.run_of(task)
    scene.kube.wait("transferrun", run, "under way", under_way)
    return run


@pytest.mark.fault(51)
def test_an_upgrade_during_a_run_lets_its_agent_go_on(
    scene: Scene, environment: dict[str, str], tmp_path: Path
) -> None:
    scene.source.seed([Wanted("slow.bin", size=SIZE), Wanted("small.txt", size=10)])
    scene.ready()
    name = start(scene, "upgraded")
    old, jobs = leading_pod(environment), jobs_of(scene.kube, name)

    install_chart(environment, f"agent.resources.requests.memory={MEMORY}", chart=next_chart(tmp_path))

    assert columns(scene.kube)[-1] == "Note"
    status = scene.end_of(name, timeout=60)["status"]
    assert leading_pod(environment, other_than=old)
    assert (status["state"], status["attempts"]) == ("Succeeded", 1), status
    assert jobs_of(scene.kube, name) == jobs
    assert differences(scene.source.tree(), scene.destination.tree(), times=True) == []
    assert runs(scene.kube) == ["upgraded"]


def test_the_next_run_has_what_the_upgrade_brought(scene: Scene) -> None:
    scene.source.write("new.txt", b"since the upgrade")
    run = scene.next_run("upgraded", trigger="two", options={"bytesPerSecond": None})
    status = scene.end_of(run)["status"]
    assert (status["state"], status["counters"]["files"]["transferred"]) == ("Succeeded", 1), status
    (job,) = scene.kube.list("jobs", f"smbferry.io/run={run}")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"]["memory"] == MEMORY


@pytest.mark.fault(51)
def test_a_run_that_outlives_the_release_ends_and_the_next_release_tells_of_it(
    scene: Scene, environment: dict[str, str]
) -> None:
    """Without an operator the agent goes on and reports, nothing begins, and whatever is deleted goes at once."""
    kube = scene.kube
    scene.source.seed([Wanted("later.bin", size=SIZE)])
    name = start(scene, "outlives")
    jobs = jobs_of(kube, name)
    uninstall_chart(environment)
    try:
        run = kube.get("transferrun", name)
        assert run is not None
        assert not ended(run), "it was over before the release was, which shows nothing"
        kube.apply(objects.task("meanwhile", SOURCE, DESTINATION), objects.task("deleted", SOURCE, DESTINATION))
        kube.delete("transfertask", "deleted")
        kube.delete("transfertask", "upgraded")
        kube.wait("job", run["status"]["jobRef"], "done", lambda job: job.get("status", {}).get("succeeded"))
        assert differences(scene.source.tree(), scene.destination.tree(), times=True) == []
        assert left(kube) == []
        kube.wait("transferrun", name, "reported", lambda r: r["status"]["counters"]["bytes"]["transferred"] == SIZE)
        untold = kube.get("transferrun", name)
        assert untold is not None
        assert not ended(untold)
        assert runs(kube) == ["outlives"], "a task that is deleted takes its runs along; one that is new waits"
    finally:
        install_chart(environment)

    status = scene.end_of(name, timeout=60)["status"]
    assert (status["state"], status["attempts"]) == ("Succeeded", 1), status
    assert jobs_of(kube, name) == jobs
    status = scene.end_of(scene.run_of("meanwhile"), timeout=60)["status"]
    assert (status["state"], status["counters"]["files"]["transferred"]) == ("Succeeded", 0), status
    assert runs(kube) == ["meanwhile", "outlives"]
    assert columns(kube)[-1] != "Note", "an older chart brings its own CRDs"


def left(kube: Kube) -> list[str]:
    """What of the release is still there, and what could keep an object of ours from going."""
    found = [f"{crd} is gone" for crd in CRDS if kube.get("crd", crd) is None]
    pods = kube.kubectl(
        *("get", "pods", "--namespace", SYSTEM, "--selector", "app.kubernetes.io/component=operator", "-o", "name")
    )
    found += pods.split()
    for kind in KINDS:
        found += [
            f"{kind.kind} {obj['metadata']['name']} has finalizers or is being deleted"
            for obj in kube.list(kind.plural)
            if obj["metadata"].get("finalizers") or obj["metadata"].get("deletionTimestamp")
        ]
    return found
