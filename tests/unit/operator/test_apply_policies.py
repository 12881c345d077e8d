"""A policy may refuse an object because its cache is behind; other refusals are told at once."""

import asyncio
from typing import Any, cast

import pytest
from tests.support.builders import NOW

from smbferry_operator.cluster.answers import error_of
from smbferry_operator.cluster.apply import Applier
from smbferry_operator.cluster.client import Cluster
from smbferry_operator.cluster.errors import ClusterError, PolicyRefusedError, RefusedError
from smbferry_operator.decide.decision import Decision
from smbferry_operator.model import Key, Kind, Meta

BODY = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": "team"}}
BY_A_POLICY = PolicyRefusedError("Job", "ValidatingAdmissionPolicy 'smbferry-keytabs' denied request: no")
BY_A_WEBHOOK = RefusedError("Job", 'admission webhook "x" denied the request')


class Refusing:
    """A cluster that answers creations in turn."""

    def __init__(self, *answers: ClusterError | None) -> None:
        self.answers = list(answers)

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        if (error := self.answers.pop(0)) is not None:
            raise error
        return body


def carry_out(cluster: Refusing) -> list[dict[str, Any]]:
    """Creates the Job; returns what was seen of it."""
    seen: list[dict[str, Any]] = []
    applier = Applier(cast(Cluster, cluster), lambda _kind, body: seen.append(body), lambda *_: None, policy_lag=0)
    about = Meta(name="svc", namespace="team", uid="uid-svc", created=NOW)
    asyncio.run(applier.carry_out(Key(Kind.IDENTITY, "team", "svc"), about, Decision(create=(BODY,))))
    return seen


@pytest.mark.fault(223)
def test_what_a_policy_refuses_at_first_is_created_in_a_second_attempt() -> None:
    cluster = Refusing(BY_A_POLICY, None)
    assert carry_out(cluster) == [BODY]
    assert cluster.answers == []


@pytest.mark.fault(223)
@pytest.mark.parametrize("answers", [(BY_A_POLICY, BY_A_POLICY), (BY_A_WEBHOOK,), (BY_A_POLICY, BY_A_WEBHOOK)])
def test_what_is_refused_still_is_told(answers: tuple[ClusterError, ...]) -> None:
    cluster = Refusing(*answers)
    with pytest.raises(RefusedError) as raised:
        carry_out(cluster)
    assert raised.value is answers[-1]
    assert cluster.answers == []


def test_the_refusal_of_a_policy_is_told_from_others_by_its_words() -> None:
    words = "jobs.batch \"j\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"
    by_policy, by_quota = (error_of(code, said, "", "Job") for code, said in ((422, words), (403, "exceeded quota: q")))
    assert isinstance(by_policy, PolicyRefusedError)
    assert not by_policy.permanent
    assert not isinstance(by_quota, PolicyRefusedError)
