"""A sink gets each event at least once, although it and the operator are killed; and no event holds a secret."""

from __future__ import annotations

import json
import secrets
import time
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from lab.smblab import keytab as keytabs
from lab.smblab import product
from lab.support.cluster import objects
from lab.support.cluster.chart import SYSTEM, install_chart, leading_pod
from lab.support.cluster.kube import Kube, is_
from lab.support.cluster.leaks import leaks
from lab.support.cluster.scene import DESTINATION, READER, SOURCE, WRITER, Scene
from lab.support.domain.trees import Wanted
from tests.cluster.sink import Sink

from smbferry_operator.notify.signature import signed_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.support.cluster.kube import Object

pytestmark = pytest.mark.alone

SECRET = "events-key"
KINDS = {
    "KerberosIdentity": "kerberosidentities",
    "SmbLocation": "smblocations",
    "TransferTask": "transfertasks",
    "TransferRun": "transferruns",
}


@pytest.fixture(scope="module")
def key() -> bytes:
    """The key that signs."""
    return secrets.token_bytes(32)


@pytest.fixture(scope="module")
def sink(kube: Kube, environment: dict[str, str], key: bytes) -> Iterator[Sink]:
    """The installed operator sends its events to a sink that is not up yet."""
    made, system = Sink(kube, product.tag("operator")), Kube(environment, SYSTEM)
    system.apply(objects.secret(SECRET, {"key": b"whsec_" + b64encode(key)}))
    settings = f"events.sink={made.url()},events.source=lab,events.signingSecret={SECRET}"
    install_chart(environment, settings, "limits.runsPerServer=60")
    yield made
    install_chart(environment, "limits.runsPerServer=60")
    system.delete("secret", SECRET)


def taken(sink: Sink) -> dict[str, Object]:
    """The events that the sink has taken, by what they are about; of several the last."""
    found = {}
    for request in sink.events():
        event = json.loads(request["body"])
        about = event["data"]
        word = about.get("state") or f"Ready={about['ready']}"
        found[f"{about['kind']}/{about['name']} {word}"] = event
    return found


def until(holds: Callable[[], bool], what: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not in {seconds:.0f} s: {what}"
        time.sleep(1)


def waiting(kube: Kube) -> list[str]:
    """The objects whose status notes an event."""
    found = [made for kind in KINDS.values() for made in kube.list(kind)]
    return [made["metadata"]["name"] for made in found if made.get("status", {}).get("undeliveredEvents")]


def kill_operator(environment: dict[str, str]) -> None:
    before = leading_pod(environment)
    words = ("delete", "pod", "--namespace", SYSTEM, before.partition("_")[0])
    Kube(environment, SYSTEM).kubectl(*words, "--grace-period=0", "--force", "--wait=false")
    leading_pod(environment, other_than=before)


@pytest.mark.fault(225)
@pytest.mark.fault(226)
def test_every_event_arrives_through_restarts_of_both_sides(
    sink: Sink, scene: Scene, environment: dict[str, str], key: bytes
) -> None:
    kube = scene.kube
    expected = {
        f"KerberosIdentity/{READER} Ready=True",
        f"KerberosIdentity/{WRITER} Ready=True",
        f"SmbLocation/{SOURCE} Ready=True",
        f"SmbLocation/{DESTINATION} Ready=True",
        "TransferTask/copy Ready=True",
    }
    # The sink is down. Everything gets ready, a run ends, and the operator is killed.
    scene.source.seed([Wanted("all/a.txt", size=10)])
    scene.destination.write("all/before.txt", b"-")
    scene.ready()
    task = objects.task("copy", SOURCE, DESTINATION)
    for side in ("source", "destination"):
        task["spec"][side]["path"] = "/all"
    kube.apply(task)
    first = scene.run_of("copy")
    assert scene.end_of(first)["status"]["state"] == "Succeeded"
    expected.add(f"TransferRun/{first} Succeeded")
    assert first in waiting(kube)
    assert SOURCE in waiting(kube)
    kill_operator(environment)
    sink.start()
    until(lambda: expected <= taken(sink).keys(), "the events from before the sink was up")
    until(lambda: not waiting(kube), "all events are crossed out")

    # The sink is killed; a task becomes unready, a run fails, the operator is killed, and the task gets ready again.
    sink.stop()
    kube.patch("transfertask", "copy", {"spec": {"source": {"locationRef": {"name": "absent"}}}})
    kube.wait("transfertask", "copy", "not ready", is_("Ready", "False"))
    lost = objects.task("lost", SOURCE, DESTINATION)
    lost["spec"]["source"]["path"] = "/none/such"
    lost["spec"]["destination"]["path"] = "/all"
    kube.apply(lost)
    second = scene.run_of("lost")
    assert scene.end_of(second)["status"]["state"] == "Failed"
    kill_operator(environment)
    kube.patch("transfertask", "copy", {"spec": {"source": {"locationRef": {"name": SOURCE}}}})
    kube.wait("transfertask", "copy", "ready again", is_("Ready", "True"))
    noted = kube.get("transfertask", "copy")
    assert noted is not None
    assert [event["ready"] for event in noted["status"]["undeliveredEvents"]] == ["False", "True"]
    failure = scene.kube.get("transferrun", second)
    assert failure is not None

    sink.start()
    expected |= {"TransferTask/copy Ready=False", "TransferTask/lost Ready=True", f"TransferRun/{second} Failed"}
    until(lambda: expected <= taken(sink).keys(), "the events from while the sink was down")
    until(lambda: not waiting(kube), "all events are crossed out")
    after = scene.kube.get("transferrun", second)
    assert after is not None
    assert after["status"] == {n: v for n, v in failure["status"].items() if n != "undeliveredEvents"}
    assert taken(sink)[f"TransferRun/{second} Failed"]["data"]["reason"] == "PathNotFound"

    for request in sink.events():
        headers = request["headers"]
        signed = signed_headers(
            headers["webhook-id"], int(headers["webhook-timestamp"]), request["body"].encode(), [key]
        )
        assert signed == {name: headers[name] for name in signed}
        assert json.loads(request["body"])["source"] == "lab"
    keys = {entry.key for user in (scene.reader, scene.writer) for entry in keytabs.parse(user.keytab())}
    assert leaks(json.dumps(sink.events()).encode(), {*keys, key}) == []


@pytest.mark.fault(227)
def test_without_its_key_the_operator_works_and_the_events_wait(
    sink: Sink, scene: Scene, environment: dict[str, str], key: bytes
) -> None:
    system = Kube(environment, SYSTEM)
    system.delete("secret", SECRET)
    kill_operator(environment)  # so that the volume is made anew, without the Secret
    run = scene.next_run("copy", trigger="again")
    assert scene.end_of(run)["status"]["state"] == "Succeeded"
    assert run in waiting(scene.kube)
    said = system.kubectl("logs", "deployment/smbferry-operator")
    assert "the key key of the Secret events.signingSecret cannot be used" in said

    system.apply(objects.secret(SECRET, {"key": b"whsec_" + b64encode(key)}))
    # The kubelet syncs a changed pod at once. Otherwise it would notice the Secret only after a minute or two.
    system.kubectl("annotate", "pod", leading_pod(environment).partition("_")[0], f"example.com/at={time.time_ns()}")
    until(lambda: f"TransferRun/{run} Succeeded" in taken(sink), "the event, once the kubelet has the Secret", 300)
