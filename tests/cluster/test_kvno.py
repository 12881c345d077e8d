"""A password change in the domain is noticed, named and forgotten again once the Secret is new."""

from __future__ import annotations

import time

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import condition, is_
from lab.support.cluster.scene import DESTINATION, READER, SOURCE, Scene

pytestmark = pytest.mark.takes(35)


def check_now(scene: Scene) -> None:
    scene.kube.kubectl("annotate", "kid", READER, f"smbferry.io/requested-at={time.time_ns()}", "--overwrite")


def test_a_stale_keytab_is_named_blocks_runs_and_clears_with_a_new_one(scene: Scene) -> None:
    scene.source.write("a.txt", b"a")
    scene.ready()
    old = scene.domain.kvno(scene.reader.name)
    scene.domain.set_password(scene.reader.name)
    check_now(scene)

    stale = scene.kube.wait("kid", READER, "stale", is_("KvnoMismatch", "True", "KeytabStale"), timeout=60)
    message = condition(stale, "KvnoMismatch")["message"]
    assert f"key version {old} " in message, message
    assert "Export a new keytab" in message
    scene.kube.wait("kid", READER, "not ready", is_("Ready", "False", "KeytabStale"), timeout=30)
    scene.kube.wait("smbloc", SOURCE, "not ready", is_("Ready", "False", "IdentityNotReady"), timeout=30)

    scene.kube.apply(objects.task("waits", SOURCE, DESTINATION))
    scene.kube.wait("xfer", "waits", "not ready", is_("Ready", "False", "LocationNotReady"), timeout=30)
    assert scene.kube.list("transferruns") == []

    scene.kube.apply(scene.keytab(READER, scene.reader))
    check_now(scene)  # instead of within a minute
    fixed = scene.kube.wait("kid", READER, "ready", is_("Ready", "True"), timeout=60)
    assert condition(fixed, "KvnoMismatch")["status"] == "False"
    assert fixed["status"]["kdc"]["kvno"] > old
    run = scene.end_of(scene.run_of("waits", timeout=120))
    assert run["status"]["state"] == "Succeeded", run["status"]
    assert scene.destination.read("a.txt") == b"a"
