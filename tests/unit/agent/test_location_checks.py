"""The locations that a check carries: each has its own verdict, whatever becomes of the others."""

from __future__ import annotations

import json
import logging
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.api_server import ApiServer
from tests.support.one_process import in_one_process
from tests.unit.agent.facts import SPEC

from smbferry_agent import cluster, location_checks
from smbferry_agent.errors import AgentError
from smbferry_agent.location_checks import LocationChecks, NamedLocation, Outcome, first_failure_of
from smbferry_agent.main import main
from smbferry_agent.manifests import identity_subject
from smbferry_agent.preflight.identity_facts import IdentityFacts
from smbferry_agent.preflight.identity_probe import TriedIdentity
from smbferry_agent.report.api_client import ApiClient, ObjectKey
from smbferry_api.agent_contract import Side
from smbferry_api.exit_codes import ExitCode
from smbferry_api.fields import format_time
from smbferry_api.reasons import API_SERVER_REFUSED, KRB5_CONFIG_INVALID, SERVER_UNREACHABLE, SHARE_NOT_FOUND

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from smbferry_agent.preflight.location_probe import LocationSubject
    from smbferry_agent.report.object_status import ObjectStatus

IDENTITY = ObjectKey("KerberosIdentity", "ns", "svc-src")
NAMES = ("a", "b", "c")
VERDICTS = {"a": None, "b": AgentError(SHARE_NOT_FOUND, "There is no such share."), "c": None}


def key(name: str) -> ObjectKey:
    return ObjectKey("SmbLocation", "ns", name)


def location(name: str, **changes: Any) -> dict[str, Any]:
    spec = {"server": f"{name}.corp.example.com", "share": name, "identityRef": {"name": "svc-src"}}
    return {"metadata": {"name": name, "uid": f"uid-{name}", "generation": 3}, "spec": spec, "status": {}} | changes


def judged(subject: LocationSubject, status: ObjectStatus) -> AgentError | None:
    """A check that needs no server: its verdict is that of the share's name."""
    assert subject.checked is not None
    status.write({"maximalAccess": f"of {subject.spec.share}"})
    return VERDICTS[subject.spec.share]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setattr(location_checks, "check_location", judged)
    in_one_process(monkeypatch)
    with ApiServer(tmp_path) as running:
        running.objects = {key(name).path: location(name) for name in NAMES}
        spec = SPEC.model_dump(by_alias=True, mode="json")
        running.objects[IDENTITY.path] = {"metadata": {"name": "svc-src", "generation": 4}, "spec": spec}
        yield running


def outcomes(server: ApiServer, tmp_path: Path, *uids: str) -> dict[str, Outcome]:
    manifest = {"metadata": {"name": "svc-src"}, "spec": SPEC.model_dump(by_alias=True, mode="json")}
    broken = AgentError(KRB5_CONFIG_INVALID, "It is no krb5.conf.")
    tried = TriedIdentity(identity_subject(manifest, Side.SELF, tmp_path), IdentityFacts(broken, broken), (), None)
    checks = LocationChecks("ns", "svc-src", tried, server.client, tmp_path)
    named = [NamedLocation(name, uid) for name, uid in zip(NAMES, uids or map("uid-{}".format, NAMES), strict=True)]
    return {each.name: each for each in checks.run(named)}


def written(server: ApiServer) -> dict[str, Any]:
    """The status written to each location, by its name."""
    patches = [(path, body) for method, path, body in server.requests if method == "PATCH" and "smblocations" in path]
    return {path.split("/")[-2]: body["status"] for path, body in patches}


def test_each_location_has_its_own_verdict_in_its_own_status(server: ApiServer, tmp_path: Path) -> None:
    found = outcomes(server, tmp_path)

    assert written(server) == {name: {"maximalAccess": f"of {name}"} for name in NAMES}
    assert {name: each.failure and each.failure.reason.name for name, each in found.items()} == {
        "a": None,
        "b": "ShareNotFound",
        "c": None,
    }
    assert all(each.reported for each in found.values())


@pytest.mark.fault(207)
def test_one_that_takes_too_long_is_told_so_in_its_status(server: ApiServer, tmp_path: Path) -> None:
    server.objects[key("b").path]["metadata"]["uid"] = "hangs"
    found = outcomes(server, tmp_path, "uid-a", "hangs", "uid-c")

    told = {c["type"]: (c["status"], c["reason"]) for c in written(server)["b"]["conditions"]}
    assert told["ServerReachable"] == ("False", "DeadlineExceeded")
    assert {status for type_, (status, _) in told.items() if type_ != "ServerReachable"} == {"Unknown"}
    assert {c["observedGeneration"] for c in written(server)["b"]["conditions"]} == {3}
    assert found["b"].reported
    assert {"a", "c"} < written(server).keys()


def test_one_that_hangs_after_its_verdict_keeps_it(server: ApiServer, tmp_path: Path) -> None:
    server.objects[key("b").path]["metadata"]["uid"] = "hangs"
    server.objects[key("b").path]["status"] = {"lastCheckTime": format_time(datetime.now(UTC) + timedelta(seconds=1))}
    found = outcomes(server, tmp_path, "uid-a", "hangs", "uid-c")

    assert written(server).keys() == {"a", "c"}
    assert found["b"].reported


@pytest.mark.fault(208)
def test_one_whose_process_dies_has_no_verdict_and_the_others_have(server: ApiServer, tmp_path: Path) -> None:
    found = outcomes(server, tmp_path, "uid-a", "dies", "uid-c")

    assert written(server).keys() == {"a", "c"}
    assert (found["b"].reported, found["b"].failure and found["b"].failure.reason.name) == (False, "InternalError")


@pytest.mark.fault(209)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(None, id="it was deleted"),
        pytest.param(location("b", metadata={"name": "b", "uid": "another"}), id="another has its name"),
        pytest.param(
            location("b", spec={**location("b")["spec"], "identityRef": {"name": "other"}}), id="by another identity"
        ),
    ],
)
@pytest.mark.parametrize("uid", ["uid-b", "hangs"])
def test_one_that_is_not_what_it_was_gets_nothing_and_is_no_failure(
    server: ApiServer, tmp_path: Path, change: dict[str, Any] | None, uid: str
) -> None:
    if change is None:
        del server.objects[key("b").path]
    else:
        server.objects[key("b").path] = change
    found = outcomes(server, tmp_path, "uid-a", uid, "uid-c")

    assert written(server).keys() == {"a", "c"}
    assert (found["b"].failure, found["b"].reported) == (None, True)


@pytest.mark.fault(211)
def test_one_that_cannot_be_read_does_not_stop_the_others(server: ApiServer, tmp_path: Path) -> None:
    server.objects[key("b").path]["spec"]["share"] = 7
    found = outcomes(server, tmp_path)

    assert written(server).keys() == {"a", "c"}
    failure = found["b"].failure
    assert (found["b"].reported, failure and failure.reason.name) == (False, "SpecInvalid")
    assert failure is not None
    assert "spec.share" in failure.message


FAILED = AgentError(SERVER_UNREACHABLE, "It is away.")
REFUSED = AgentError(API_SERVER_REFUSED, "HTTP 403.")


def test_the_last_words_are_about_those_without_a_verdict_first() -> None:
    well = [Outcome(f"well-{number}") for number in range(3)]
    failing = [Outcome(f"away-{number:02}", FAILED) for number in range(12)]
    lost = Outcome("z", REFUSED, reported=False)

    assert first_failure_of(well) is None
    found = first_failure_of([*well, *failing, lost])
    assert found is not None
    assert found.reason is API_SERVER_REFUSED
    assert found.message.startswith("13 of 16 SmbLocations: z (ApiServerRefused), away-00 (ServerUnreachable), ")
    assert found.message.endswith(" and 3 more. HTTP 403.")


@pytest.fixture
def ends(tmp_path: Path, server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "termination-log"
    path.touch()
    monkeypatch.setenv("SMBFERRY_TERMINATION_LOG", str(path))
    monkeypatch.setattr(ApiClient, "in_cluster", classmethod(lambda _cls: server.client()))
    monkeypatch.setattr(cluster, "SCRATCH_DIR", str(tmp_path))
    before, handlers = signal.getsignal(signal.SIGTERM), logging.root.handlers[:]
    yield path
    signal.signal(signal.SIGTERM, before)
    logging.root.handlers[:] = handlers


def arguments(*more: str) -> list[str]:
    places = [f"--location={name}=uid-{name}" for name in NAMES]
    return ["check-identity", "--namespace", "ns", "--name", "svc-src", *more, *places]


@pytest.mark.parametrize(("more", "tells"), [((), True), (("--only-locations",), False)])
def test_the_identity_is_told_of_only_if_it_was_to_be_checked(
    server: ApiServer, ends: Path, more: tuple[str, ...], *, tells: bool
) -> None:
    code = main(arguments(*more))

    assert code == ExitCode.CONFIGURATION, "the identity has no Secret"
    assert any(f"{IDENTITY.path}/status" in path for _, path, _ in server.requests) is tells
    assert written(server).keys() == set(NAMES)
    assert json.loads(ends.read_text())["reason"] == "ConfigMapNotFound"


@pytest.mark.fault(211)
def test_an_identity_whose_status_cannot_be_written_does_not_stop_its_locations(
    server: ApiServer, ends: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise REFUSED

    monkeypatch.setattr(cluster, "report_identity", refused)
    main(arguments())

    assert written(server).keys() == set(NAMES)
    assert json.loads(ends.read_text())["reason"] == "ApiServerRefused"


@pytest.mark.parametrize("text", ["a", "a=", "=uid", ""])
def test_a_location_is_named_with_its_uid(text: str) -> None:
    with pytest.raises(ValueError, match="expected NAME=UID"):
        NamedLocation.parse(text)
