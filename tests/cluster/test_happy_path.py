"""Every kind, applied as a person would, does what it is for; what is copied is proved by an independent comparison."""

from __future__ import annotations

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import condition, is_
from lab.support.cluster.scene import DESTINATION, READER, SOURCE, WRITER, Scene
from lab.support.domain.trees import Wanted, differences, odd, small

pytestmark = pytest.mark.takes(70)


def test_an_identity_becomes_ready_and_says_what_the_kdc_knows(scene: Scene) -> None:
    found = scene.kube.wait("kerberosidentity", READER, "ready", is_("Ready", "True", "ChecksPassed"), timeout=120)
    status = found["status"]
    assert {c["type"] for c in status["conditions"] if c["status"] == "True"} >= {
        "DnsReady", "KdcReachable", "TimeInSync", "KeytabValid", "TicketAcquired", "Ready",
    }  # fmt: skip
    assert condition(found, "KvnoMismatch")["status"] == "False"
    assert status["kdc"]["kvno"] == scene.domain.kvno(scene.reader.name)
    assert status["kdc"]["address"].startswith(scene.domain.address)
    assert {e["kvno"] for e in status["keytab"]["entries"]} == {status["kdc"]["kvno"]}
    assert status["ticket"]["enctype"] == "aes256-cts-hmac-sha1-96"
    assert status["nextCheckTime"] > status["lastCheckTime"]


def test_a_location_becomes_ready_and_says_what_was_negotiated(scene: Scene) -> None:
    found = scene.kube.wait("smblocation", DESTINATION, "ready", is_("Ready", "True", "ChecksPassed"), timeout=120)
    status = found["status"]
    assert status["server"]["dialect"] == "3.1.1"
    assert status["server"]["cipher"] in {"AES-256-GCM", "AES-128-GCM"}
    assert status["server"]["encryptionRequiredByShare"] is True
    assert scene.domain.address in status["server"]["addresses"]
    assert status["space"]["totalBytes"] > status["space"]["freeBytes"] > 0
    assert "write" in status["maximalAccess"].lower()


def test_a_task_copies_the_tree_and_shows_the_evidence(scene: Scene) -> None:
    scene.source.seed([*odd(), *small(150, per_folder=50), Wanted("large.bin", size=40 << 20)])
    scene.ready()
    scene.kube.apply(objects.task("copy", SOURCE, DESTINATION, trigger="one"))
    name = scene.run_of("copy")
    run = scene.end_of(name)
    status = run["status"]
    assert status["state"] == "Succeeded", status
    assert condition(run, "Succeeded")["status"] == "True"
    source = scene.source.tree()
    assert differences(source, scene.destination.tree(), times=True) == []
    files = [e for e in source.values() if e.kind == "file"]
    assert status["counters"]["files"]["transferred"] == len(files)
    assert status["counters"]["files"]["verified"] == len(files)
    assert status["counters"]["bytes"]["transferred"] == sum(e.size for e in files)
    for side, user in (("source", scene.reader), ("destination", scene.writer)):
        evidence = status["security"][side]
        assert evidence["principal"] == user.principal
        assert evidence["cipher"] in {"AES-256-GCM", "AES-128-GCM"}
        assert evidence["ticketEnctype"].startswith("aes")
        assert evidence["kvno"] == scene.domain.kvno(user.name)
        identity = scene.kube.get("kerberosidentity", READER if user is scene.reader else WRITER)
        assert identity is not None
        assert evidence["keytabFingerprint"] == identity["status"]["keytab"]["fingerprint"]
    assert run["status"]["task"]["source"]["spec"]["share"] == "src"
    task = scene.kube.wait("transfertask", "copy", "in sync", is_("InSync", "True"), timeout=30)
    assert task["status"]["lastRun"]["name"] == name
    assert task["status"]["observedTrigger"] == "one"


def test_a_new_trigger_copies_only_what_changed(scene: Scene) -> None:
    scene.source.write("signs/no extension", b"changed, and longer than before")
    run = scene.end_of(scene.next_run("copy", trigger="two"))
    assert run["status"]["state"] == "Succeeded", run["status"]
    assert run["status"]["counters"]["files"]["transferred"] == 1
    assert scene.destination.read("signs/no extension") == b"changed, and longer than before"
    assert differences(scene.source.tree(), scene.destination.tree(), times=True) == []


def test_a_dry_run_made_by_a_person_counts_and_writes_nothing(scene: Scene) -> None:
    scene.source.write("new/only counted.txt", b"x" * 1000)
    before = scene.destination.tree()
    scene.kube.apply(objects.run("by-hand", "copy", dryRun=True))
    run = scene.end_of("by-hand")
    assert run["status"]["state"] == "Succeeded", run["status"]
    assert run["status"]["counters"]["files"]["toTransfer"] == 1
    assert run["status"]["counters"]["bytes"]["toTransfer"] == 1000
    assert scene.destination.tree() == before
    assert run["status"]["task"]["name"] == "copy"
    assert "task" not in run["spec"]


def test_a_run_that_cannot_write_one_file_copies_the_others(scene: Scene) -> None:
    scene.source.write("locked/secret.txt", b"not for you")
    scene.source.write("locked/open.txt", b"for you")
    path = f"{scene.source.inside}/locked/secret.txt"
    scene.domain.run("chmod", "0600", path)
    run = scene.end_of(scene.next_run("copy", trigger="three"))
    scene.domain.run("rm", path)
    assert run["status"]["state"] == "PartiallySucceeded", run["status"]
    (failure,) = run["status"]["failures"]
    assert failure["path"].endswith("locked/secret.txt")
    assert failure["reason"] == "AccessDenied"
    assert scene.destination.read("locked/open.txt") == b"for you"


def test_the_tables_read_well(scene: Scene) -> None:
    table = scene.kube.kubectl("get", "smbferry")
    for word in ("PRINCIPAL", "KVNO", "CIPHER", "IN SYNC", "PROGRESS", scene.reader.principal, "AES-", "100%"):
        assert word in table, table


def test_events_tell_a_run_from_start_to_end(scene: Scene) -> None:
    said = {e["reason"] for e in scene.kube.list("events") if e["involvedObject"]["kind"] == "TransferRun"}
    assert "RunSucceeded" in said, said
