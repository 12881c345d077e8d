"""`smbferry check` against the real domain: the cluster's verdicts without a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.support.stubs.counting_kdc import CountingKdc

if TYPE_CHECKING:
    from tests.interop.cli.support import Scene

pytestmark = pytest.mark.takes(35)

IDENTITY_IS_WELL = {
    "DnsReady": "Resolved",
    "KdcReachable": "Reachable",
    "TimeInSync": "ClockInSync",
    "KeytabValid": "KeytabUsable",
    "KvnoMismatch": "KvnoMatches",
    "TicketAcquired": "TicketIssued",
}
LOCATION_IS_WELL = {
    "DnsReady": "Resolved",
    "TicketAcquired": "TicketIssued",
    "ServerReachable": "Reachable",
    "Encrypted": "SessionEncrypted",
    "ShareAccessible": "ShareOpened",
}


def test_all_is_well(scene: Scene) -> None:
    ended = scene.smbferry("check", "-o", "json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.reasons() == {
        "reader": IDENTITY_IS_WELL,
        "writer": IDENTITY_IS_WELL,
        "source": LOCATION_IS_WELL,
        "destination": LOCATION_IS_WELL,
    }
    status = {item["metadata"]["name"]: item["status"] for item in ended.document()["items"]}
    assert status["reader"]["kdc"]["kvno"] == scene.reader.kvno
    assert status["source"]["server"]["dialect"] == "3.1.1"


def test_the_table_has_a_line_per_check_and_no_colour_where_nobody_watches(scene: Scene) -> None:
    ended = scene.smbferry("check")
    assert ended.code == 0
    assert ended.err == ""
    lines = ended.out.splitlines()
    assert lines[0].split() == ["OBJECT", "CHECK", "VERDICT", "REASON", "MESSAGE"]
    assert sum(" ok " in line for line in lines) == 6 + 6 + 5 + 5
    assert lines[-1] == "4 objects checked: all healthy."
    assert "\x1b" not in ended.out


def test_nameservers_of_the_command_line_serve_objects_without_their_own(scene: Scene) -> None:
    for name in ("source", "destination"):
        scene.locations[name] = {"share": "src", "identityRef": {"name": "reader"}, "nameservers": []}
    known = scene.smbferry("check", "-o", "json", f"--nameserver={scene.domain.address}")
    assert known.code == 0
    assert scene.domain.address in known.out


def test_a_stale_keytab_is_asked_about_once_however_many_locations_use_it(scene: Scene) -> None:
    scene.give("reader", scene.reader.stale)
    more = {"share": "src", "identityRef": {"name": "reader"}}
    scene.locations = {f"more-{number}": {"server": scene.domain.server, **more} for number in range(3)}
    relay = CountingKdc.reachable(scene.domain)
    scene.kdc = relay.kdc
    with relay.running():
        ended = scene.smbferry("check", "-o", "json")
    assert ended.code == 11
    found = ended.reasons()
    assert found["reader"]["KvnoMismatch"] == "KeytabStale"
    assert {found[name]["TicketAcquired"] for name in (*scene.locations, "source")} == {"KeytabStale"}
    assert found["destination"] == LOCATION_IS_WELL
    # One for the stale key, one for the writer's, which is right.
    assert relay.proofs == 2


def test_a_share_that_is_not_there(scene: Scene) -> None:
    scene.locations["source"] = {"share": "nonesuch", "identityRef": {"name": "reader"}}
    ended = scene.smbferry("check", "-o", "json")
    assert ended.code == 13
    assert ended.reasons()["source"] == LOCATION_IS_WELL | {"ShareAccessible": "ShareNotFound"}


def test_a_server_that_can_not_encrypt_and_a_name_that_dns_does_not_know(scene: Scene) -> None:
    identity = {"share": "src", "identityRef": {"name": "reader"}}
    scene.locations["source"] = {"port": 1445, **identity}
    scene.locations["destination"] = {"server": f"nonesuch.{scene.domain.realm.lower()}", **identity}
    ended = scene.smbferry("check", "-o", "json")
    found = ended.reasons()
    assert found["source"]["Encrypted"] == "EncryptionNotSupported"
    assert found["destination"]["DnsReady"] == "NameNotFound"
    # Policy (12) needs a person; DNS (22) may pass.
    assert ended.code == 12


def test_an_empty_keytab(scene: Scene) -> None:
    scene.give("writer", b"")
    ended = scene.smbferry("check")
    assert ended.code == 10
    assert "KeytabUnreadable" in ended.out
    assert "2 failed: KerberosIdentity writer, SmbLocation destination." in ended.out


@pytest.mark.parametrize("output", ["json", "table"])
def test_a_reader_that_leaves_early_does_not_change_the_verdict(scene: Scene, output: str) -> None:
    scene.locations["source"] = {"share": "nonesuch", "identityRef": {"name": "reader"}}
    process = scene.start("check", "-o", output)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(30) == 13
    process.stderr.close()
