"""The client against a transport in memory: paths, query and how answers become our errors."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
import urllib3

from smbferry_operator.cluster.client import Cluster, Listing
from smbferry_operator.cluster.errors import (
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


def status(message: str, cause: str | None = None) -> dict[str, Any]:
    return {"message": message, "details": {"causes": [{"reason": cause}]}}


def call(transport: Transport, what: Any) -> Any:
    return asyncio.run(what(Cluster(cast(Any, transport))))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, status("gone")), NotFoundError),
        ((409, status("exists")), ConflictError),
        ((422, status("spec.x: bad")), RefusedError),
        ((403, status("quota")), RefusedError),
        ((403, status("terminating", "NamespaceTerminating")), TerminatingError),
        ((429, status("slow down")), UnavailableError),
        ((503, status("starting")), UnavailableError),
        (urllib3.exceptions.MaxRetryError(cast(Any, None), "/", None), UnavailableError),
        (ConnectionResetError(), UnavailableError),
    ],
)
def test_every_failure_is_one_of_ours(answer: Any, error: type[ClusterError]) -> None:
    body = {"kind": "Job", "metadata": {"namespace": "team", "name": "j"}}

    with pytest.raises(error):
        call(Transport(answer), lambda cluster: cluster.create(body))


@pytest.mark.parametrize(("code", "permanent"), [(422, True), (400, True), (403, False)])
def test_a_refusal_says_whether_it_is_for_good_and_in_whose_words(code: int, permanent: bool) -> None:
    body = {"kind": "Job", "metadata": {"namespace": "team", "name": "j"}}

    with pytest.raises(RefusedError) as caught:
        call(Transport((code, status("because"))), lambda cluster: cluster.create(body))

    assert (caught.value.what, caught.value.message, caught.value.permanent) == ("Job", "because", permanent)


def test_a_status_is_applied_whole_under_our_name() -> None:
    transport = Transport((200, {}))
    call(transport, lambda cluster: cluster.apply_status(RUN, "uid-1", {"state": "Queued"}))

    ((method, path, query, body),) = transport.requests
    assert (method, path) == ("PATCH", "/apis/smbferry.io/v1alpha1/namespaces/team/transferruns/run/status")
    assert query == {"fieldManager": "smbferry-operator", "force": "true"}
    assert body["metadata"]["uid"] == "uid-1"


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
