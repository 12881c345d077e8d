"""`smbferry logs`: whose pods, in which order, what is said where there are none, and the end of following."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.cli.fake_api import FakeApi, called, obj, run, task

from smbferry_cli.exits import ClusterError

RUNNING: dict[str, Any] = {"running": {}}
DONE: dict[str, Any] = {"terminated": {"exitCode": 0}}
PULLING: dict[str, Any] = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}


def pod(name: str, owner: str, state: dict[str, Any], created: str = "2026-11-21T19:00:00Z") -> dict[str, Any]:
    phase = "Running" if state is RUNNING else "Succeeded" if state is DONE else "Pending"
    return {
        "kind": "Pod",
        "metadata": {"name": name, "creationTimestamp": created, "labels": {"smbferry.io/owner-uid": f"uid-{owner}"}},
        "status": {"phase": phase, "containerStatuses": [{"name": "sidecar"}, {"name": "agent", "state": state}]},
    }


LOCATION = (
    obj("KerberosIdentity", "svc-src"), obj("SmbLocation", "source", {"identityRef": {"name": "svc-src"}}),
)  # fmt: skip


def carrying(made: dict[str, Any], uid: str = "uid-source") -> dict[str, Any]:
    """The pod of a check that carries the location."""
    return made | {"spec": {"containers": [{"name": "agent", "args": ["check-identity", f"--location=source={uid}"]}]}}


def scene(*objects: dict[str, Any], **logs: bytes) -> FakeApi:
    api = FakeApi(*objects)
    api.logs = {name.replace("_", "-"): text for name, text in logs.items()}
    return api


TASK = {**task(), "status": {"activeRun": "nightly-2", "lastRun": {"name": "nightly-1", "state": "Succeeded"}}}


@pytest.mark.parametrize(
    ("words", "api", "expected"),
    [
        (
            "logs nightly-2", scene(run("nightly-2", "Succeeded"), pod("p1", "nightly-2", DONE), p1=b"one\ntwo\n"),
            ["one", "two"],
        ),
        (
            "logs nightly", scene(TASK, run("nightly-2"), pod("p1", "nightly-2", RUNNING), p1=b"one"), ["one"],
        ),
        (
            "logs task/nightly", scene(TASK, run("nightly-2"), pod("p1", "nightly-2", RUNNING), p1=b"one"), ["one"],
        ),
        (
            "logs nightly-2",
            scene(
                run("nightly-2"), pod("b", "nightly-2", DONE), pod("a", "nightly-2", RUNNING, "2026-11-21T20:00:00Z"),
                pod("c", "nightly-1", DONE), a=b"later", b=b"first", c=b"of another run",
            ),
            ["[b] first", "[a] later"],
        ),
        (
            "logs identity/svc-src", scene(obj("KerberosIdentity", "svc-src"), pod("p1", "svc-src", DONE), p1=b"it"),
            ["it"],
        ),
        (
            "logs smbloc/source",
            scene(
                *LOCATION, carrying(pod("p1", "svc-src", DONE)), pod("p2", "svc-src", DONE), pod("p3", "source", DONE),
                p1=b'it\n{"location": "source"}\n{"location": "other"}', p2=b"of a check without it", p3=b"forged",
            ),
            ["it", '{"location": "source"}'],
        ),
        (
            "logs nightly-2", scene(run("nightly-2"), pod("p1", "nightly-2", DONE), p1=b"\x1b[2Jbad \xff"),
            ["\\x1b[2Jbad \ufffd"],
        ),
    ],
)  # fmt: skip
def test_what_is_printed(words: str, api: FakeApi, expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert called(api, words) == 0
    assert capsys.readouterr().out.splitlines() == expected


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ("", {"container": "agent"}),
        ("--tail 5 --since 2m --timestamps",
         {"container": "agent", "tailLines": "5", "sinceSeconds": "120", "timestamps": "true"}),
    ],
)  # fmt: skip
def test_what_is_asked_for(options: str, query: dict[str, str]) -> None:
    api = scene(run("r", "Succeeded"), pod("p1", "r", DONE), p1=b"")
    called(api, f"logs r {options}")
    assert api.requests[-1].query == query


@pytest.mark.parametrize(
    ("words", "api", "said"),
    [
        (
            "logs nightly-2", scene(run("nightly-2", "Succeeded")),
            ("expected pods of run/nightly-2, got none: they were removed after the run had ended; smbferry watch "
            "run/nightly-2 shows its summary and its failures"),
        ),
        (
            "logs nightly-2", scene(run("nightly-2", "Queued", conditions=[{
                "type": "Succeeded", "status": "Unknown", "reason": "RunQueued", "message": "Waits for nightly-1.",
                "lastTransitionTime": "2026-11-21T19:00:00Z"}])),
            ("expected pods of run/nightly-2, got none: RunQueued: Waits for nightly-1.; with --follow, the command "
            "waits for them"),
        ),
        (
            "logs nightly-2", scene(run("nightly-2")),
            ("expected pods of run/nightly-2, got none: its agent has not been created yet; with --follow, the command "
            "waits for them"),
        ),
        (
            "logs task/nightly", scene(task()),
            "expected a run of task/nightly, got none: it has not run yet; smbferry trigger nightly starts one",
        ),
        (
            "logs task/nightly", scene(TASK),
            ("expected run/nightly-2, the last one of task/nightly, got none: it was removed, and its logs with it; "
            "history in the task's spec keeps more runs"),
        ),
        (
            "logs identity/svc-src", scene(obj("KerberosIdentity", "svc-src")),
            ("expected pods of checks of identity/svc-src, got none: they are removed 5 minutes after a check; "
            "smbferry recheck identity/svc-src starts another one"),
        ),
        ("logs nightli-2", scene(run("nightly-2")),
         'TransferRun "nightli-2" not found in namespace "ferry"; did you mean "nightly-2"?'),
        ("logs nightly-2 -f", scene(run("nightly-2", "Succeeded")),
         ("expected pods of run/nightly-2, got none: they were removed after the run had ended; smbferry watch "
         "run/nightly-2 shows its summary and its failures")),
    ],
)  # fmt: skip
def test_where_there_is_nothing_to_print_it_says_why(words: str, api: FakeApi, said: str) -> None:
    with pytest.raises(ClusterError) as raised:
        called(api, words)
    assert str(raised.value) == said


def test_a_pod_that_has_not_started_is_told_beside_the_logs(capsys: pytest.CaptureFixture[str]) -> None:
    api = scene(run("r"), pod("p1", "r", DONE), pod("p2", "r", PULLING, "2026-11-21T20:00:00Z"), p1=b"one")
    assert called(api, "logs r") == 0
    captured = capsys.readouterr()
    assert captured.out == "[p1] one\n"
    assert captured.err == "smbferry: p2 has not started: ImagePullBackOff: no such image\n"


def test_a_pod_that_no_node_takes_is_told_with_the_schedulers_words(capsys: pytest.CaptureFixture[str]) -> None:
    waits = pod("p1", "r", {})
    waits["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available."}]
    assert called(scene(run("r"), waits), "logs r") == 0
    assert capsys.readouterr().err == "smbferry: p1 has not started: 0/2 nodes are available.\n"


def test_following_goes_from_pod_to_pod_until_the_run_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    api = scene(run("r", "Launching"), p1=b"one\ntwo\n", p2=b"three\n")

    def put(*pods: dict[str, Any]) -> Any:
        return lambda api: api.objects.update({("Pod", p["metadata"]["name"]): p for p in pods})

    api.passes = [
        put(pod("p1", "r", PULLING)),
        put(pod("p1", "r", RUNNING)),
        put(pod("p1", "r", DONE), pod("p2", "r", RUNNING, "2026-11-21T20:00:00Z")),
        lambda api: api.change("TransferRun", "r", state="Succeeded"),
    ]
    assert called(api, "logs r --follow") == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == ["one", "two", "[p2] three"]
    assert captured.err == "smbferry: p1 has not started: ImagePullBackOff: no such image\n"
    assert [r.query["follow"] for r in api.requests if r.resource == "pods/log"] == ["true", "true"]


def test_following_a_check_ends_with_its_pods(capsys: pytest.CaptureFixture[str]) -> None:
    said = b'one\n{"location": "other"}'
    api = scene(*LOCATION, carrying(pod("p1", "svc-src", RUNNING)), p1=said)
    api.passes = [lambda api: api.objects.update({("Pod", "p1"): carrying(pod("p1", "svc-src", DONE))})]
    assert called(api, "logs location/source -f") == 0
    assert capsys.readouterr().out == "one\n"


@pytest.mark.parametrize("objects", [LOCATION[1:], (*LOCATION, carrying(pod("p1", "svc-src", DONE), "uid-before"))])
def test_a_location_whose_checks_are_gone_or_were_of_its_namesake_has_no_logs(objects: tuple[Any, ...]) -> None:
    with pytest.raises(ClusterError, match="expected pods of checks of location/source, got none"):
        called(scene(*objects), "logs location/source")


def test_following_a_run_that_is_deleted_ends_with_its_pods(capsys: pytest.CaptureFixture[str]) -> None:
    api = scene(run("r"), pod("p1", "r", RUNNING), p1=b"one")
    api.passes = [lambda api: api.objects.pop(("TransferRun", "r"))]
    assert called(api, "logs r -f") == 0
    assert capsys.readouterr().out == "one\n"


def test_following_a_run_whose_pods_are_removed_as_it_is_cancelled_ends_in_order(
    capsys: pytest.CaptureFixture[str],
) -> None:
    api = scene(run("r"), pod("p1", "r", RUNNING), p1=b"one")

    def cancelled(api: FakeApi) -> None:
        del api.objects["Pod", "p1"]
        api.change("TransferRun", "r", state="Cancelled")

    api.passes = [cancelled]
    assert called(api, "logs r -f") == 0
    assert capsys.readouterr().out == "one\n"


def test_of_a_run_that_another_namespace_serves_it_says_where_its_agents_work() -> None:
    api = scene(run("r", servedBy={"namespace": "storage", "name": "team.r-abc"}))
    with pytest.raises(
        ClusterError, match=r"its agents work in namespace storage, .* smbferry logs run/team\.r-abc --na"
    ):
        called(api, "logs r")


def test_following_a_run_that_ended_before_it_had_a_pod_says_how_it_ended() -> None:
    api = scene(run("r", "Queued"))
    api.passes = [lambda api: api.change("TransferRun", "r", state="Cancelled")]
    with pytest.raises(ClusterError, match="they were removed after the run had ended"):
        called(api, "logs r -f")


@pytest.mark.parametrize("options", ["", "-f"])
def test_a_pod_that_goes_before_it_is_read_is_told(options: str, capsys: pytest.CaptureFixture[str]) -> None:
    api = scene(run("r", "Succeeded"), pod("p1", "r", DONE), pod("p2", "r", DONE), p2=b"one")
    assert called(api, f"logs r {options}") == 0
    captured = capsys.readouterr()
    assert captured.err == 'smbferry: p1 has no log: pods/log "p1" not found\n'
    assert captured.out == "[p2] one\n"


def test_logs_that_the_user_may_not_read_end_it() -> None:
    api = FakeApi(run("r"), pod("p1", "r", RUNNING), denied=frozenset({("get", "pods/log")}))
    with pytest.raises(ClusterError, match="you may not get pods/log"):
        called(api, "logs r -f")
