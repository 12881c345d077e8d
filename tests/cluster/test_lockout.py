"""Runs that start at once with a wrong key ask the KDC no more than a lockout policy bears: counted before the KDC."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from lab.smblab import keytab as keytabs
from tests.cluster import objects
from tests.cluster.conftest import ROOT
from tests.cluster.kube import condition, is_
from tests.cluster.scene import DESTINATION, Scene
from tests.support.counting_kdc import CountingKdc

from smbferry_api.reasons import KEY_REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.kube import Object
    from tests.support.domain import User

MANY, TASKS = "many", 5
FOLDERS = [f"folder-{number}" for number in range(TASKS)]
REPORTS = ROOT / "build" / "reports"
MOST = 2
"""Wrong keys in a check interval, which is an hour here."""


@pytest.fixture(scope="module")
def kdc(scene: Scene) -> Iterator[CountingKdc]:
    with CountingKdc.reachable(scene.domain).running() as running:
        yield running


@pytest.fixture(scope="module")
def user(scene: Scene) -> Iterator[User]:
    with scene.domain.user("src-readers") as added:
        yield added


@pytest.fixture(scope="module")
def parallel(scene: Scene, kdc: CountingKdc, user: User) -> Scene:
    """Five tasks to five folders, all by one identity, whose KDC is the one that counts."""
    scene.source.write("a.txt", b"a")
    for folder in FOLDERS:
        scene.destination.write(f"{folder}/before.txt", b"-")
    scene.kube.apply(
        objects.krb5("counted", scene.domain.realm, kdc.kdc),
        scene.keytab(MANY, user),
        scene.identity(MANY, user, config="counted"),
        scene.location(MANY, "src", MANY, path=scene.source.path),
        *(task(folder, "one") for folder in FOLDERS),
    )
    for name in runs_of(scene, frozenset()):
        assert scene.end_of(name, timeout=240)["status"]["state"] == "Succeeded"
    return scene


def task(folder: str, trigger: str) -> Object:
    made = objects.task(folder, MANY, DESTINATION, trigger=trigger)
    made["spec"]["destination"]["path"] = f"/{folder}"
    return made


def runs_of(scene: Scene, known: frozenset[str]) -> list[str]:
    return [scene.run_of(folder, not_among=known, timeout=180) for folder in FOLDERS]


def known_runs(scene: Scene) -> frozenset[str]:
    return frozenset(run["metadata"]["name"] for run in scene.kube.list("transferruns"))


def test_runs_of_an_identity_that_are_well_all_start(parallel: Scene, kdc: CountingKdc) -> None:
    known = known_runs(parallel)
    kdc.proofs = 0
    parallel.kube.apply(*(task(folder, "two") for folder in FOLDERS))
    for name in runs_of(parallel, known):
        assert parallel.end_of(name)["status"]["state"] == "Succeeded"
    assert kdc.proofs >= TASKS + 1, "the counter counts: each run proved the key, and the check before them"


def test_a_password_that_was_changed_costs_two_wrong_keys_at_most(
    parallel: Scene, kdc: CountingKdc, user: User
) -> None:
    known = known_runs(parallel)
    parallel.domain.set_password(user.name)
    kdc.proofs = 0
    parallel.kube.apply(*(task(folder, "three") for folder in FOLDERS))
    refused_and_patient(parallel, kdc, known, "the password was changed")

    # The new keytab is tested by itself; then the runs that waited start.
    parallel.kube.apply(parallel.keytab(MANY, user))
    parallel.kube.wait("kid", MANY, "ready", is_("Ready", "True"), timeout=150)
    for name in runs_of(parallel, known):
        assert parallel.end_of(name, timeout=180)["status"]["state"] == "Succeeded"


def test_a_secret_that_was_filled_with_wrong_keys_is_found_before_a_run_uses_it(
    parallel: Scene, kdc: CountingKdc, user: User
) -> None:
    known = known_runs(parallel)
    now = keytabs.parse(user.keytab())
    never = [
        entry
        for ahead in (1, 2, 3)
        for entry in keytabs.parse(
            parallel.domain.make_keytab(user.principal, f"never a password {ahead}", kvno=now[0].kvno + ahead)
        )
    ]
    kdc.proofs = 0
    parallel.kube.apply(
        objects.secret(f"{MANY}-keytab", {"keytab": keytabs.write(never)}),
        *(task(folder, "four") for folder in FOLDERS),
    )
    refused_and_patient(parallel, kdc, known, "the Secret was filled with wrong keys")
    parallel.kube.apply(parallel.keytab(MANY, user))
    for name in runs_of(parallel, known):
        assert parallel.end_of(name, timeout=240)["status"]["state"] == "Succeeded"


def refused_and_patient(scene: Scene, kdc: CountingKdc, known: frozenset[str], why: str) -> None:
    """The identity is found wanting once, and the five runs wait, without an agent, however long they are watched."""
    stale = scene.kube.wait("kid", MANY, "refused", is_("Ready", "False"), timeout=90)
    assert condition(stale, "TicketAcquired")["reason"] in KEY_REFUSED
    assert 1 <= kdc.proofs <= MOST
    time.sleep(75)  # it is looked at again every minute, without a key
    later = scene.kube.get("kid", MANY)
    assert later is not None
    assert later["status"]["lastCheckTime"] > stale["status"]["lastCheckTime"]
    assert kdc.proofs <= MOST
    REPORTS.mkdir(parents=True, exist_ok=True)
    with (REPORTS / "lockout.txt").open("a") as report:
        report.write(f"{why}: {TASKS} runs at once, {kdc.proofs} wrong keys at the KDC\n")
    waiting = sorted(known_runs(scene) - known)
    assert len(waiting) <= TASKS
    for name in waiting:
        run = scene.kube.get("transferrun", name)
        assert run is not None
        assert run["status"]["state"] == "Queued", run["status"]
        assert scene.kube.list("jobs", f"smbferry.io/run={name}") == []
