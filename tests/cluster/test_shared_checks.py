"""A dozen locations of one identity on real pods: few pods, each verdict in its time, and nobody waits for a server
that drops packets.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import is_
from lab.support.cluster.scene import READER, Scene, new_scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.cluster.kube import Kube, Object
    from lab.support.domain.domain import Domain

pytestmark = pytest.mark.takes(75)

WELL = tuple(f"place-{number:02}" for number in range(12))
HANGING, LATE = "hanging", "late"
DROPPED = "192.0.2.77"  # TEST-NET-1: nobody answers there


@pytest.fixture(scope="module")
def shared(kube: Kube, domain: Domain) -> Iterator[Scene]:
    """An identity that is ready; its locations come later, all at once."""
    with new_scene(kube, domain) as scene:
        kube.apply(
            objects.krb5("krb5", domain.realm, domain.address),
            scene.keytab(READER, scene.reader),
            scene.identity(READER, scene.reader),
        )
        kube.wait("kid", READER, "ready", is_("Ready", "True"), timeout=120)
        yield scene


def checks(kube: Kube) -> list[Object]:
    """The Jobs that carry locations."""
    jobs = kube.list("jobs", "app.kubernetes.io/component=check-identity")
    return [job for job in jobs if "smbferry.io/check-load" in job["metadata"]["annotations"]]


@pytest.mark.fault(207, 210)
def test_a_dozen_locations_need_few_pods_and_each_has_its_own_verdict(shared: Scene, domain: Domain) -> None:
    kube = shared.kube
    with domain.name_of(DROPPED) as server:
        # A ticket for another server takes the check as far as the connection.
        hangs = {"nameservers": shared.nameservers, "servicePrincipal": f"cifs/{domain.server}"}
        kube.apply(
            objects.location(HANGING, server, "src", READER, **hangs),
            *(shared.location(name, "src", READER, path=shared.source.path) for name in WELL),
        )
        for name in WELL:
            kube.wait("smblocation", name, "ready", is_("Ready", "True"), timeout=60)
        kube.wait("smblocation", HANGING, "judged", is_("Ready", "False"), timeout=60)
        assert 1 <= len(checks(kube)) <= 3, "and not one for each location"

        kube.apply(shared.location(LATE, "src", READER, path=shared.source.path))
        kube.wait("smblocation", LATE, "ready", is_("Ready", "True"), timeout=60)


def test_a_requested_check_of_the_identity_carries_nobody_who_was_just_checked(shared: Scene) -> None:
    """Half of the interval must have passed; whoever asks for a location's own check gets it."""
    kube, text = shared.kube, str(time.time_ns())
    for kind, name in (("kid", READER), ("smblocation", WELL[0])):
        kube.kubectl("annotate", "--overwrite", kind, name, f"smbferry.io/requested-at={text}")
        kube.wait(kind, name, "checked", lambda o: o["status"].get("lastHandledRequest") == text, timeout=60)
    found = kube.get("smblocation", WELL[1])
    assert found is not None
    assert len(kube.checks_of(found)) == 1


def test_a_location_that_is_made_anew_is_checked_anew(shared: Scene) -> None:
    kube = shared.kube
    kube.delete("smblocation", WELL[2])
    kube.apply(shared.location(WELL[2], "nonesuch", READER))
    found = kube.wait("smblocation", WELL[2], "judged", is_("Ready", "False", "ShareNotFound"), timeout=60)
    assert len(kube.checks_of(found)) == 1


def test_the_agents_may_write_what_they_carry_and_nothing_else(shared: Scene) -> None:
    kube = shared.kube
    newest = max(checks(kube), key=lambda job: str(job["metadata"]["creationTimestamp"]))
    account = newest["spec"]["template"]["spec"]["serviceAccountName"]
    role = json.loads(kube.kubectl("get", "role", account, "-o", "json"))
    named = {
        name for rule in role["rules"] if "smblocations/status" in rule["resources"] for name in rule["resourceNames"]
    }
    carried = [
        a.split("=")[1] for a in newest["spec"]["template"]["spec"]["containers"][0]["args"] if "--location=" in a
    ]
    assert set(carried) <= named
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "patch"}
    assert "*" not in named
