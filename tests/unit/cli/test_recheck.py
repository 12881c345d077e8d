"""`smbferry recheck`: what is requested, and when which result counts as that of the requested check."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.cli.fake_api import FakeApi, called, obj, ready

from smbferry_api.exit_codes import ExitCode
from smbferry_cli.exits import TIMED_OUT, ClusterError
from smbferry_cli.verbs.recheck import result_of

KEY = "smbferry.io/requested-at"
GOOD = ready("True", "ChecksPassed", "All checks passed.")
STALE = ready("False", "KeytabStale", "The KDC refused the key.")
BEHIND = ready("False", "IdentityNotReady", "KerberosIdentity svc-src is not Ready.")
CHECKING = ready("Unknown", "Checking")


def identity(*conditions: Any, name: str = "svc-src") -> dict[str, Any]:
    return obj("KerberosIdentity", name, conditions=list(conditions))


def location(*conditions: Any) -> dict[str, Any]:
    return obj("SmbLocation", "source", {"identityRef": {"name": "svc-src"}}, conditions=list(conditions))


def handled(found: dict[str, Any], request: str, latest: str = "now") -> dict[str, Any]:
    metadata = {**found["metadata"], "annotations": {KEY: latest}}
    return {**found, "metadata": metadata, "status": {**found["status"], "lastHandledRequest": request}}


@pytest.mark.parametrize(
    ("found", "passed", "counts"),
    [
        (handled(identity(GOOD), "now"), set(), True),
        (handled(identity(STALE), "now"), set(), True),
        (handled(identity(GOOD), "before"), set(), False),
        (handled(identity(GOOD), "later", latest="later"), set(), True),
        (handled(identity(CHECKING), "now"), set(), False),
        (handled(identity(), "now"), set(), False),
        (obj("KerberosIdentity", "new"), set(), False),
        # Without a usable identity the operator checks no location: there is nothing to wait for.
        (handled(location(BEHIND), "before"), set(), True),
        (handled(location(BEHIND), "before"), {"svc-src"}, False),
        (handled(location(BEHIND), "before"), {"svc-other"}, True),
        (handled(location(GOOD), "now"), {"svc-src"}, True),
    ],
)
def test_which_result_is_that_of_the_requested_check(found: dict[str, Any], passed: set[str], counts: bool) -> None:
    assert (result_of(found, "now", passed) is not None) == counts


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("recheck identity/svc-src", ["svc-src"]),
        ("recheck kid/svc-src smblocation/source", ["svc-src", "source"]),
        ("recheck --all", ["svc-dst", "svc-src", "source"]),
    ],
)
def test_only_the_annotation_is_written(words: str, names: list[str]) -> None:
    api = FakeApi(identity(GOOD), identity(GOOD, name="svc-dst"), location(GOOD))
    assert called(api, words) == 0
    written = [(r.name, r.body) for r in api.requests if r.verb == "patch"]
    assert [name for name, _ in written] == names
    assert all(list(body["metadata"]["annotations"]) == [KEY] and len(body) == 1 for _, body in written if body)


def test_each_request_is_a_new_one() -> None:
    api = FakeApi(identity(GOOD))
    values = set()
    for _ in range(2):
        called(api, "recheck identity/svc-src")
        values.add(api.objects["KerberosIdentity", "svc-src"]["metadata"]["annotations"][KEY])
    assert len(values) == 2


def answered(kind: str, name: str, condition: Any) -> Any:
    """What the operator writes once the check has ended."""

    def write(api: FakeApi) -> None:
        request = api.objects[kind, name]["metadata"]["annotations"][KEY]
        api.change(kind, name, conditions=[condition], lastHandledRequest=request)

    return write


def test_the_result_of_each_is_told_and_the_worst_is_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    api = FakeApi(identity(GOOD), identity(GOOD, name="svc-dst"), location(BEHIND))
    api.passes = [answered("KerberosIdentity", "svc-src", STALE), answered("KerberosIdentity", "svc-dst", GOOD)]
    words = "recheck location/source identity/svc-src identity/svc-dst --wait"
    assert called(api, words) == ExitCode.IDENTITY
    assert capsys.readouterr().out.splitlines()[3:] == [
        "kerberosidentity.smbferry.io/svc-src is not Ready: KeytabStale: The KDC refused the key.",
        "kerberosidentity.smbferry.io/svc-dst is Ready: ChecksPassed: All checks passed.",
        "smblocation.smbferry.io/source is not Ready: IdentityNotReady: KerberosIdentity svc-src is not Ready.",
    ]


def test_a_location_is_awaited_after_its_identity_has_recovered(capsys: pytest.CaptureFixture[str]) -> None:
    api = FakeApi(identity(STALE), location(BEHIND))
    api.passes = [
        answered("KerberosIdentity", "svc-src", GOOD), lambda _: None, answered("SmbLocation", "source", GOOD),
    ]  # fmt: skip
    assert called(api, "recheck --all --wait") == 0
    assert capsys.readouterr().out.count(" is Ready") == 2


def test_a_check_that_does_not_end_is_told() -> None:
    api = FakeApi(identity(GOOD))
    api.passes = [lambda _: None] * 3
    with pytest.raises(ClusterError, match=r"expected the checks to end in time.*is the operator running") as raised:
        called(api, "recheck identity/svc-src --wait --timeout 2s")
    assert raised.value.exit_code == TIMED_OUT


def test_an_api_server_that_is_away_for_a_while_is_asked_again_and_said_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    api = FakeApi(identity(GOOD))
    api.away = 3
    api.passes = [lambda _: None, lambda _: None, answered("KerberosIdentity", "svc-src", STALE)]
    assert called(api, "recheck identity/svc-src --wait") == ExitCode.IDENTITY
    assert capsys.readouterr().err == "smbferry: the API server answered 503 restarting. Retrying.\n"


def test_an_empty_namespace_has_nothing_to_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert called(FakeApi(), "recheck --all --wait") == 0
    assert capsys.readouterr().out == 'There are no identities and locations in namespace "ferry".\n'
