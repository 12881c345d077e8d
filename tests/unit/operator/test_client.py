"""The client against a transport in memory: paths, query and how answers become our errors."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
import urllib3

from smbferry_operator.cluster.answers import MAX_WORDS, error_of, one_line
from smbferry_operator.cluster.client import STATUS_TRIES, Cluster, Listing
from smbferry_operator.cluster.errors import (
    AlreadyExistsError,
    ClusterError,
    ConflictError,
    NotFoundError,
    RefusedError,
    TerminatingError,
    UnavailableError,
)
from smbferry_operator.model import Key, Kind

RUN = Key(Kind.RUN, "team", "run")


class Transport:
    """Stands for the official client's transport: one answer after the other."""

    def __init__(self, *answers: tuple[int, Any] | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []

    def param_serialize(self, method: str, path: str, **more: Any) -> tuple[Any, ...]:
        self.requests.append((method, path, dict(more["query_params"]), more["body"]))
        return ()

    def call_api(self, *_request: Any, _request_timeout: float) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body = answer
        return SimpleNamespace(status=status, reason="", read=lambda: json.dumps(body).encode())


def status(message: str, cause: str | None = None, reason: str = "") -> dict[str, Any]:
    return {"message": message, "reason": reason, "details": {"causes": [{"reason": cause}]}}


EXISTS = status('jobs.batch "j" already exists', reason="AlreadyExists")
GOING = status('object is being deleted: jobs.batch "j" already exists', reason="AlreadyExists")
QUOTA_BUSY = status(
    'Operation cannot be fulfilled on resourcequotas "q": the object has been modified; please apply your changes',
    reason="Conflict",
)
NO_ROOM = status('jobs.batch "j" is forbidden: exceeded quota: q, requested: count/jobs.batch=1', reason="Forbidden")
WEBHOOK = 'admission webhook "policy.example.com" denied the request: no Jobs after ten'
POLICY = "jobs.batch \"j\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no label"
WEBHOOK_AWAY = 'Internal error occurred: failed calling webhook "policy.example.com": connection refused'


def call(transport: Transport, what: Any) -> Any:
    return asyncio.run(what(Cluster(cast("Any", transport))))


@pytest.mark.fault(132)
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, status("gone")), NotFoundError),
        ((409, EXISTS), AlreadyExistsError),
        ((409, GOING), UnavailableError),
        ((409, QUOTA_BUSY), ConflictError),
        ((409, status("uid mismatch")), ConflictError),
        ((401, status("expired")), UnavailableError),
        ((422, status("spec.x: bad")), RefusedError),
        ((403, status("quota")), RefusedError),
        ((403, status("terminating", "NamespaceTerminating")), TerminatingError),
        ((429, status("slow down")), UnavailableError),
        ((503, status("starting")), UnavailableError),
        (urllib3.exceptions.MaxRetryError(cast("Any", None), "/", None), UnavailableError),
        (ConnectionResetError(), UnavailableError),
    ],
)
def test_every_failure_is_one_of_ours(answer: Any, error: type[ClusterError]) -> None:
    body = {"kind": "Job", "metadata": {"namespace": "team", "name": "j"}}

    with pytest.raises(error) as caught:
        call(Transport(answer), lambda cluster: cluster.create(body))
    assert type(caught.value) is error


@pytest.mark.fault(132)
@pytest.mark.parametrize(
    ("answer", "permanent", "room"),
    [
        ((422, status("spec.x: bad", "FieldValueInvalid", "Invalid")), True, False),
        ((400, status("json: unknown field", reason="BadRequest")), True, False),
        ((413, status("limit is 3145728", reason="RequestEntityTooLarge")), True, False),
        ((403, status('User "operator" cannot create resource "jobs"', reason="Forbidden")), False, False),
        ((403, NO_ROOM), False, True),
        ((403, status(WEBHOOK, reason="Forbidden")), False, False),
        ((400, status(WEBHOOK, reason="BadRequest")), False, False),
        ((422, status(POLICY, reason="Invalid")), False, False),
        ((500, status(WEBHOOK_AWAY, reason="InternalError")), False, False),
    ],
)
def test_a_refusal_says_whether_it_is_for_good_and_in_whose_words(answer: Any, permanent: bool, room: bool) -> None:
    body = {"kind": "Job", "metadata": {"namespace": "team", "name": "j"}}

    with pytest.raises(RefusedError) as caught:
        call(Transport(answer), lambda cluster: cluster.create(body))

    assert (caught.value.what, caught.value.message) == ("Job", answer[1]["message"])
    assert (caught.value.permanent, caught.value.room) == (permanent, room)


@pytest.mark.parametrize("body", ["<html>", "[]", '{"details": {"causes": [null, 3]}}', '{"details": []}', ""])
def test_an_answer_that_is_no_status_is_told_all_the_same(body: str) -> None:
    assert isinstance(error_of(403, body, "Forbidden", "Job"), RefusedError)


def test_the_servers_words_are_told_on_one_line_and_cut_short() -> None:
    words = one_line("denied:\n\t\x1b[31mno\u2028" + "x" * 9000)

    assert words.startswith("denied: [31mno x")
    assert len(words) == MAX_WORDS


def test_a_status_is_applied_whole_under_our_name() -> None:
    transport = Transport((200, {}))
    call(transport, lambda cluster: cluster.apply_status(RUN, "uid-1", {"state": "Queued"}, "7"))

    ((method, path, query, body),) = transport.requests
    assert (method, path) == ("PATCH", "/apis/smbferry.io/v1alpha1/namespaces/team/transferruns/run/status")
    assert query == {"fieldManager": "smbferry-operator", "force": "true"}
    assert body["metadata"] == {"name": "run", "namespace": "team", "resourceVersion": "7"}


CHANGED = (409, status("the object has been modified", reason="Conflict"))


def found(uid: str, version: str) -> tuple[int, Any]:
    return 200, {"metadata": {"uid": uid, "resourceVersion": version}}


def versions(transport: Transport) -> list[tuple[str, str | None]]:
    """Method and named resourceVersion of each request."""
    named = (body["metadata"]["resourceVersion"] if body else None for _, _, _, body in transport.requests)
    return list(zip((method for method, *_ in transport.requests), named, strict=True))


@pytest.mark.fault(205)
@pytest.mark.parametrize("version", ["7", ""])
def test_a_namesake_of_a_deleted_object_does_not_get_its_status(version: str) -> None:
    transport = Transport(*([CHANGED] if version else []), found("uid-2", "9"))
    with pytest.raises(NotFoundError, match="another one of the same name"):
        call(transport, lambda cluster: cluster.apply_status(RUN, "uid-1", {"state": "Queued"}, version))

    assert versions(transport) == [*([("PATCH", "7")] if version else []), ("GET", None)]


def test_a_status_is_written_although_others_change_the_object_meanwhile() -> None:
    transport = Transport(CHANGED, found("uid-1", "8"), CHANGED, found("uid-1", "9"), (200, {}))
    call(transport, lambda cluster: cluster.apply_status(RUN, "uid-1", {"state": "Queued"}, "7"))

    assert versions(transport) == [("PATCH", "7"), ("GET", None), ("PATCH", "8"), ("GET", None), ("PATCH", "9")]


def test_a_status_that_others_forestall_each_time_is_tried_again_later() -> None:
    transport = Transport(*[found("uid-1", "8"), CHANGED] * STATUS_TRIES)
    with pytest.raises(ConflictError):
        call(transport, lambda cluster: cluster.apply_status(RUN, "uid-1", {"state": "Queued"}))

    assert transport.answers == []


def test_a_deletion_lets_pods_end_in_peace_and_what_is_gone_is_fine() -> None:
    transport = Transport((404, status("gone")))
    call(transport, lambda cluster: cluster.delete(Key(Kind.JOB, "team", "j")))

    assert transport.requests[0][:3] == (
        "DELETE",
        "/apis/batch/v1/namespaces/team/jobs/j",
        {"propagationPolicy": "Background"},
    )


def test_what_is_meant_by_its_uid_is_not_taken_for_a_namesake() -> None:
    transport = Transport((409, status("the UID in the precondition does not match")))
    call(transport, lambda cluster: cluster.delete(RUN, "uid-1"))

    assert transport.requests[0][3]["preconditions"] == {"uid": "uid-1"}


def test_a_list_is_read_page_by_page() -> None:
    pod = {"metadata": {"name": "a", "managedFields": [{}]}}
    first = {"items": [pod], "metadata": {"resourceVersion": "7", "continue": "more"}}
    last = {"items": [{"metadata": {"name": "b"}}], "metadata": {"resourceVersion": "7"}}
    transport = Transport((200, first), (200, last))

    async def read(cluster: Cluster) -> list[Listing]:
        return [page async for page in cluster.pages(Kind.POD, None, "a=b")]

    pages = call(transport, read)

    assert pages == [Listing([{"metadata": {"name": name}}], 7) for name in "ab"]
    assert [path for _, path, _, _ in transport.requests] == ["/api/v1/pods", "/api/v1/pods"]
    assert transport.requests[1][2] == {"limit": "500", "labelSelector": "a=b", "continue": "more"}
