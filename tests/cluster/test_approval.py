"""Mirrors whose plan a person must approve, on real pods: what stays until then, and what is deleted after that."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import KubectlError, condition
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted, differences, small
from tests.documented.run import with_smbferry

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.support.cluster.kube import Object
    from lab.support.domain.trees import Tree

pytestmark = pytest.mark.takes(240)

ANOTHER = "abcd2345" * 4
FULL = 100


def mirror(name: str, **spec: Any) -> Object:
    """A mirror that asks for approval, of the folder of its name to the folder of its name."""
    ends = {
        side: {"locationRef": {"name": location}, "path": f"/{name}"}
        for side, location in (("source", SOURCE), ("destination", DESTINATION))
    }
    options = {"deletedFiles": "Remove", "maxDeletes": "100%", **spec.pop("options", {})}
    return objects.task(name, SOURCE, DESTINATION, **ends, options=options, trigger="one", approval="Required", **spec)


def seeded(scene: Scene, folder: str) -> Tree:
    """A small source, and a destination full of something else; returns what is at the destination."""
    scene.source.seed([Wanted(f"{folder}/kept.txt", size=10), Wanted(f"{folder}/new/one.bin", size=70_000)])
    scene.destination.seed(
        [Wanted(f"{folder}/kept.txt", size=10), *small(FULL, per_folder=20, prefix=f"{folder}/payroll")]
    )
    return there(scene, folder)


def there(scene: Scene, folder: str) -> Tree:
    return below(scene.destination.tree(), folder)


def below(tree: Tree, folder: str) -> Tree:
    return {path: entry for path, entry in tree.items() if path.startswith(f"{folder}/")}


def is_the_same(scene: Scene, folder: str) -> list[str]:
    return differences(below(scene.source.tree(), folder), there(scene, folder))


def waits(reason: str, *, but: str = "") -> Callable[[Object], bool]:
    """Whether a run waits for this reason, with another plan than this one."""

    def holds(run: Object) -> bool:
        plan = run.get("status", {}).get("plan", {}).get("digest")
        return condition(run, "Succeeded").get("reason") == reason and plan not in {None, but}

    return holds


def planned(scene: Scene, run: str) -> Object:
    return scene.kube.wait("transferrun", run, "planned", waits("ApprovalRequired"), timeout=90)


def approves(scene: Scene, run: str, digest: str) -> None:
    scene.kube.patch("transferrun", run, {"spec": {"approvedPlan": digest}})


def message_of(run: Object) -> str:
    return str(condition(run, "Succeeded")["message"])


def living(scene: Scene, run: str) -> list[str]:
    pods = scene.kube.list("pods", f"smbferry.io/run={run}")
    return [p["metadata"]["name"] for p in pods if p["status"].get("phase") not in {"Succeeded", "Failed"}]


def triggered(scene: Scene, task: str, trigger: str) -> str:
    """The run that a change of the trigger brings while another run of the task is active."""
    known = {run["metadata"]["name"] for run in scene.kube.list("transferruns")}
    scene.kube.patch("transfertask", task, {"spec": {"trigger": trigger}})
    scene.kube.wait("transfertask", task, "triggered", lambda o: o["status"].get("observedTrigger") == trigger)
    (name,) = {run["metadata"]["name"] for run in scene.kube.list("transferruns")} - known
    return str(name)


@pytest.fixture(scope="module")
def ready(scene: Scene) -> Scene:
    scene.ready()
    return scene


@pytest.mark.fault(232)
def test_a_mirror_over_a_wrong_full_destination_deletes_nothing_until_just_its_plan_is_approved(ready: Scene) -> None:
    before = seeded(ready, "wrong")
    ready.kube.apply(mirror("wrong"))
    name = ready.run_of("wrong")
    run = planned(ready, name)
    plan = run["status"]["plan"]

    assert run["status"]["state"] == "Queued"
    assert (plan["toDelete"]["files"], plan["toCreate"]["files"]) == (FULL, 1)
    assert plan["toDelete"]["directories"] > 0
    assert len(plan["toDelete"]["paths"]) == 20
    assert plan["toDelete"]["paths"][0].startswith("/payroll")
    assert plan["firstRun"]
    assert living(ready, name) == []
    assert there(ready, "wrong") == before

    approves(ready, name, ANOTHER)
    refused = ready.kube.wait("transferrun", name, "refused", lambda o: ANOTHER in message_of(o))
    assert "which is another plan" in message_of(refused)
    assert plan["digest"] in message_of(refused)
    assert there(ready, "wrong") == before

    approves(ready, name, plan["digest"])
    ended = ready.end_of(name)
    assert ended["status"]["state"] == "Succeeded", ended["status"]
    assert ended["status"]["counters"]["files"]["deleted"] == FULL
    assert is_the_same(ready, "wrong") == []
    assert ended["status"]["plan"]["digest"] == plan["digest"]


@pytest.mark.fault(233)
def test_nothing_is_deleted_if_nobody_approves_in_time(ready: Scene) -> None:
    before = seeded(ready, "late")
    ready.kube.apply(mirror("late", approvalExpiry="1m"))
    run = ready.end_of(ready.run_of("late"), timeout=180)

    assert (run["status"]["state"], run["status"]["failure"]["reason"]) == ("Failed", "ApprovalExpired")
    assert there(ready, "late") == before
    ready.kube.wait("transfertask", "late", "stalled", lambda o: condition(o, "Stalled").get("status") == "True")


@pytest.mark.fault(230)
def test_files_that_appear_between_plan_and_approval_are_not_deleted_before_their_plan_is_approved(
    ready: Scene,
) -> None:
    seeded(ready, "moved")
    ready.kube.apply(mirror("moved"))
    name = ready.run_of("moved")
    old = planned(ready, name)["status"]["plan"]
    ready.destination.seed(small(FULL, per_folder=20, prefix="moved/arrived"))
    before = there(ready, "moved")

    approves(ready, name, old["digest"])
    changed = ready.kube.wait("transferrun", name, "planned anew", waits("PlanChanged", but=old["digest"]), timeout=90)
    plan = changed["status"]["plan"]
    assert plan["toDelete"]["files"] == 2 * FULL
    assert plan["changes"][0].startswith("it would delete ")
    assert plan["changes"][0] in message_of(changed)
    assert there(ready, "moved") == before

    approves(ready, name, plan["digest"])
    ended = ready.end_of(name)
    assert ended["status"]["state"] == "Succeeded", ended["status"]
    assert is_the_same(ready, "moved") == []


def test_a_commit_approves_the_plan_of_one_run_and_of_no_other(ready: Scene) -> None:
    seeded(ready, "commit")
    ready.kube.apply(mirror("commit"))
    first = ready.run_of("commit")
    digest = planned(ready, first)["status"]["plan"]["digest"]
    ready.kube.apply(mirror("commit", approvedPlan=digest))
    assert ready.end_of(first)["status"]["state"] == "Succeeded"
    assert is_the_same(ready, "commit") == []

    ready.kube.wait("transfertask", "commit", "proven", lambda o: o["status"].get("mirroredTo"))
    ready.destination.write("commit/again.txt", b"again")
    second = ready.next_run("commit", trigger="two")
    run = planned(ready, second)
    assert run["status"]["plan"]["toDelete"]["paths"] == ["/again.txt"]
    assert not run["status"]["plan"].get("firstRun"), "the task has copied there before"
    assert "commit/again.txt" in ready.destination.tree()

    third = triggered(ready, "commit", "three")
    behind = ready.kube.wait(
        "transferrun", third, "behind", lambda o: condition(o, "Succeeded").get("reason") == "RunQueued"
    )
    assert second in message_of(behind)
    for name in (second, third):
        ready.kube.patch("transferrun", name, {"spec": {"cancel": True}})
        assert ready.end_of(name)["status"]["state"] == "Cancelled"
    assert "commit/again.txt" in ready.destination.tree()


def test_a_run_that_has_nothing_to_delete_and_is_not_the_first_waits_for_nobody(ready: Scene) -> None:
    ready.source.seed([Wanted("quiet/one.txt", size=10)])
    ready.destination.seed([Wanted("quiet", kind="directory")])
    ready.kube.apply(mirror("quiet"))
    assert ready.end_of(ready.run_of("quiet"))["status"]["state"] == "Succeeded", "an empty destination"
    ready.source.seed([Wanted("quiet/two.txt", size=10)])
    assert ready.end_of(ready.next_run("quiet", trigger="two"))["status"]["state"] == "Succeeded"
    assert is_the_same(ready, "quiet") == []


@pytest.mark.fault(234)
def test_several_agents_wait_before_they_split_the_tree_and_delete_what_was_approved(ready: Scene) -> None:
    before = seeded(ready, "several")
    ready.source.seed([Wanted(f"several/big/{n}.bin", size=24 << 20) for n in range(4)])
    ready.kube.apply(mirror("several", agent={"parallelism": 2, "tolerations": [objects.EVERYWHERE]}))
    name = ready.run_of("several")
    run = planned(ready, name)
    assert there(ready, "several") == before

    approves(ready, name, run["status"]["plan"]["digest"])
    ended = ready.end_of(name, timeout=240)
    assert ended["status"]["state"] == "Succeeded", ended["status"]
    assert is_the_same(ready, "several") == []


def test_the_command_shows_the_plan_and_approves_it_by_its_digest(
    ready: Scene, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environment = with_smbferry(tmp_path_factory.mktemp("plugin"), ready.kube.environment)
    seeded(ready, "typed")
    ready.kube.apply(mirror("typed"))
    name = ready.run_of("typed")
    digest = planned(ready, name)["status"]["plan"]["digest"]

    def types(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["kubectl", "smbferry", "approve", "typed", "-n", ready.kube.namespace, *words],
            env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    shown = types("--show")
    assert shown.returncode == 0, shown.stderr
    for said in (digest, f"{FULL} files", "/payroll"):
        assert said in shown.stdout
    unseen, other = types(), types("--plan", ANOTHER)
    assert (unseen.returncode, other.returncode) == (10, 10)
    assert f"--plan {digest}" in unseen.stderr
    assert "nothing was approved" in other.stderr
    done = types("--plan", digest)
    assert done.returncode == 0, done.stderr
    assert ready.end_of(name)["status"]["state"] == "Succeeded"
    assert is_the_same(ready, "typed") == []


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"approvedPlan": "No Digest"}, "spec.approvedPlan"),
        ({"approvedPlan": ANOTHER, "dryRun": True}, "a dry run and a survey change nothing and need no approvedPlan"),
    ],
)
def test_the_api_server_refuses_in_words(ready: Scene, spec: Object, words: str) -> None:
    with pytest.raises(KubectlError, match=words):
        ready.kube.apply(objects.run("refused", "wrong", **spec))
