"""A mirror that is restored after the cut-over: the old server over the new one. It loses nothing until confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import condition
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted, differences

if TYPE_CHECKING:
    from lab.support.cluster.kube import Object

pytestmark = pytest.mark.takes(90)

NEW_REPORT, FRESH = b"this year's figures", b"made on the new server"


def mirror(**spec: Any) -> Object:
    options = {"deletedFiles": "Remove", "maxDeletes": "100%"}
    return objects.task("move", SOURCE, DESTINATION, trigger="cut-over", options=options, **spec)


@pytest.mark.fault(134)
def test_a_task_that_was_made_anew_deletes_and_replaces_nothing_newer_until_a_person_confirms_it(scene: Scene) -> None:
    scene.source.seed([Wanted("report.txt", size=10), Wanted("same.txt", size=10)])
    scene.ready()
    kube = scene.kube
    kube.apply(mirror())
    first = scene.end_of(scene.run_of("move"))
    assert first["status"]["state"] == "Succeeded", "an empty destination has nothing to lose"
    kube.wait("transfertask", "move", "proven", lambda o: o["status"].get("mirroredTo"))

    scene.destination.write("report.txt", NEW_REPORT)
    scene.destination.write("fresh.txt", FRESH)
    after_cut_over = scene.destination.tree()
    kube.delete("transfertask", "move")
    kube.apply(mirror())

    failed = scene.end_of(scene.run_of("move"))
    assert failed["status"]["state"] == "Failed"
    assert failed["status"]["failure"]["reason"] == "MirrorNotConfirmed"
    assert (
        "1 files and folders are only at the destination and 1 files are newer"
        in failed["status"]["failure"]["message"]
    )
    assert scene.destination.tree() == after_cut_over
    stalled = kube.wait("transfertask", "move", "stalled", lambda o: condition(o, "Stalled").get("status") == "True")
    word = stalled["status"]["unconfirmed"]
    assert word in condition(stalled, "Stalled")["message"]

    run = scene.end_of(scene.next_run("move", mirrorConfirmation=word, trigger="confirmed"))
    assert run["status"]["state"] == "Succeeded", run["status"]
    assert differences(scene.source.tree(), scene.destination.tree(), times=True) == []

    kube.delete("transfertask", "move")
    kube.apply(mirror(mirrorConfirmation=word))
    scene.destination.write("fresh.txt", FRESH)
    restored = kube.wait("transfertask", "move", "unconfirmed", lambda o: o.get("status", {}).get("unconfirmed"))
    assert restored["status"]["unconfirmed"] != word, "a confirmation that was restored, too, is another object's"
