"""What an event says, what it never says, and how it is signed."""

import base64
import json
from typing import Any

import pytest
from tests.support.builders import NOW, location_body, run_body

from smbferry_api.fields import format_time
from smbferry_api.undelivered import FIELD
from smbferry_operator.model import Key, Kind
from smbferry_operator.notify.cloud_event import cloud_events
from smbferry_operator.notify.signature import SigningKeyError, parse_keys, signed_headers

NOON = format_time(NOW)
ENDED = {"type": "RunEnded", "time": NOON}
CHANGED = {"type": "ReadinessChanged", "time": NOON, "ready": "False", "previous": "True", "reason": "ShareNotFound"}
SECRET_WORD = "hunter2"


def of_run(**status: Any) -> list[dict[str, Any]]:
    body = run_body("one", {"state": "Failed", FIELD: [ENDED], **status})
    return [json.loads(event.content) for event in cloud_events(Kind.RUN, body, "cluster-a")]


def test_the_end_of_a_run() -> None:
    (event,) = of_run(
        startTime=NOON,
        completionTime=NOON,
        duration="3m20s",
        failure={"class": "Identity", "reason": "KeytabStale", "message": SECRET_WORD, "remedy": SECRET_WORD},
        counters={"files": {"listed": 9, "transferred": 7, "failed": 2}, "bytes": {"transferred": 500, "written": 400}},
        failures=[{"path": f"/{SECRET_WORD}", "phase": "Transfer", "reason": "X", "message": SECRET_WORD}],
    )

    assert event == {
        "specversion": "1.0",
        "id": "uid-one_run-ended",
        "source": "cluster-a",
        "type": "io.smbferry.run.ended.v1",
        "subject": "namespaces/team/transferruns/one",
        "time": NOON,
        "datacontenttype": "application/json",
        "data": {
            "apiVersion": "smbferry.io/v1alpha1",
            "kind": "TransferRun",
            "namespace": "team",
            "name": "one",
            "uid": "uid-one",
            "task": "nightly",
            "dryRun": False,
            "survey": False,
            "state": "Failed",
            "reason": "KeytabStale",
            "startTime": NOON,
            "completionTime": NOON,
            "duration": "3m20s",
            "files": {"listed": 9, "transferred": 7, "skipped": 0, "deleted": 0, "failed": 2, "incomplete": 0},
            "bytes": {"transferred": 500, "written": 400},
        },
    }


def test_readiness_that_changed() -> None:
    body = location_body("src", {FIELD: [CHANGED]})
    del body["kind"]  # as items of a list are
    (made,) = cloud_events(Kind.LOCATION, body, "/smbferry")
    event = json.loads(made.content)

    assert made.about == Key(Kind.LOCATION, "team", "src")
    assert (event["type"], event["subject"]) == (
        "io.smbferry.readiness.changed.v1",
        "namespaces/team/smblocations/src",
    )
    assert {name: event["data"][name] for name in ("ready", "previous", "reason")} == {
        "ready": "False",
        "previous": "True",
        "reason": "ShareNotFound",
    }


@pytest.mark.parametrize("reason", [SECRET_WORD, None, 7])
def test_a_reason_that_is_not_ours_is_not_passed_on(reason: object) -> None:
    (event,) = of_run(failure={"class": "X", "reason": reason, "message": "m"})
    assert event["data"]["reason"] == "Other"


@pytest.mark.parametrize("counters", [None, [], {"files": SECRET_WORD, "bytes": {"transferred": SECRET_WORD}}])
def test_counters_that_are_no_numbers_are_left_out(counters: Any) -> None:
    (event,) = of_run(counters=counters)
    assert SECRET_WORD not in json.dumps(event)


def test_an_event_that_the_status_does_not_bear_out_is_not_sent() -> None:
    forged = {**CHANGED, "ready": SECRET_WORD}
    assert cloud_events(Kind.RUN, run_body("one", {"state": "Transferring", FIELD: [ENDED]}), "s") == []
    assert cloud_events(Kind.LOCATION, location_body("src", {FIELD: [forged]}), "s") == []


def test_a_signature_is_the_one_of_the_specification() -> None:
    """The example of Standard Webhooks."""
    (key,) = parse_keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    content = b'{"test": 2432232314}'

    assert signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, content, [key]) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_while_a_key_is_replaced_both_sign() -> None:
    keys = parse_keys(f"{written(b'n' * 32)}\n\n{written(b'o' * 24)}\n")
    both = signed_headers("id", 1, b"x", keys)["webhook-signature"].split(" ")

    assert keys == (b"n" * 32, b"o" * 24)
    assert both == [signed_headers("id", 1, b"x", [key])["webhook-signature"] for key in keys]


def written(key: bytes) -> str:
    return f"whsec_{base64.b64encode(key).decode()}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "got none"),
        ("\n \n", "got none"),
        (f"{SECRET_WORD}", "begins with whsec_"),
        (f"whsec_{SECRET_WORD}!", "Base64"),
        (written(b"k" * 23), "24 to 64 bytes, got 23"),
        (written(b"k" * 65), "24 to 64 bytes, got 65"),
    ],
)
def test_a_key_that_cannot_be_used_is_explained_and_never_shown(text: str, complaint: str) -> None:
    with pytest.raises(SigningKeyError) as refused:
        parse_keys(text)
    assert complaint in str(refused.value)
    assert SECRET_WORD not in str(refused.value)
    assert refused.value.__cause__ is None
