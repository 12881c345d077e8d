"""CustomResourceDefinitions become newer under a running run: a field with a default changes nothing."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import condition, is_, under_way
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted, differences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.cluster.kube import Kube

pytestmark = [pytest.mark.alone, pytest.mark.takes(60)]

SPEC = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties"
LATER = {"type": "string", "default": "Off", "maxLength": 8}
DEFAULTED = {
    "kerberosidentities": [SPEC],
    "smblocations": [SPEC],
    "transfertasks": [SPEC, f"{SPEC}/options/properties"],
    "transferruns": [SPEC, f"{SPEC}/taskRef/properties"],
}


def patch(kube: Kube, plural: str, operation: dict[str, Any]) -> None:
    changes = [{**operation, "path": f"{place}/addedLater"} for place in DEFAULTED[plural]]
    kube.kubectl("patch", "crd", f"{plural}.smbferry.io", "--type=json", "-p", json.dumps(changes))


@contextmanager
def newer_crds(kube: Kube) -> Iterator[None]:
    """Every kind has a field more, with a default, in its spec and in what lies below it."""
    done = []
    try:
        for plural in DEFAULTED:
            patch(kube, plural, {"op": "add", "value": LATER})
            done.append(plural)
        yield
    finally:
        for plural in done:
            patch(kube, plural, {"op": "remove"})


@pytest.mark.fault(130)
def test_a_defaulted_field_that_a_crd_gains_under_a_running_run_changes_nothing(scene: Scene) -> None:
    scene.source.seed([Wanted("slow.bin", size=32 << 20), Wanted("small.txt", size=10)])
    scene.ready()
    kube = scene.kube
    kube.apply(objects.task("newer", SOURCE, DESTINATION, trigger="one", options={"bytesPerSecond": "2Mi"}))
    first = scene.run_of("newer")
    before = kube.wait("transferrun", first, "under way", under_way, timeout=60)

    with newer_crds(kube):
        served = kube.wait(
            "transferrun",
            first,
            "served with the new field",
            lambda r: r["spec"]["taskRef"].get("addedLater") == "Off",
            timeout=30,
        )
        assert served["spec"]["addedLater"] == "Off"
        # Something new for the operator to look at, which it now gets with the field.
        kube.patch("transferrun", first, {"metadata": {"labels": {"looked-at": "again"}}})
        kube.patch("transfertask", "newer", {"spec": {"options": {"bytesPerSecond": "64Mi"}}})
        kube.wait(
            "transferrun",
            first,
            "told the limit",
            lambda r: r["status"].get("limit") == {"bytesPerSecond": "64Mi"},
            timeout=30,
        )
        ended = scene.end_of(first)
        assert ended["status"]["state"] == "Succeeded", ended["status"]
        assert ended["status"]["attempts"] == before["status"]["attempts"]
        assert differences(scene.source.tree(), scene.destination.tree(), times=True) == []

        second = scene.end_of(scene.next_run("newer", trigger="two"))
        assert second["status"]["state"] == "Succeeded", second["status"]
        for kind, name in (("smblocation", SOURCE), ("kerberosidentity", "reader"), ("transfertask", "newer")):
            assert condition(kube.wait(kind, name, "ready", is_("Ready", "True")), "Ready")["status"] == "True"
