"""What a run waits for before an agent starts, and in which order."""

from dataclasses import replace

import pytest
from tests.support.builders import NOW, ago, condition, ends, location, pod, recorded, run, task
from tests.unit.operator.fleets import demand, server

from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.limits import Full, Standing
from smbferry_operator.decide.observation import Claim, RunObservation
from smbferry_operator.decide.run.waits import SHARD_WAITS, STAGE_WAITS, WAITS, Rule, Start, first_wait

NIGHT = [{"from": "22:00", "to": "06:00"}]
TASK = recorded().task
NOT_READY = location("src", {"conditions": [condition("Ready", "False", "ShareNotFound")]})
WRITER = Claim("other/run", "uid-other", Destination.of(TASK.destination), writing=True, since=ago(minutes=5))
EVERYTHING = Start(
    RunObservation(
        run(),
        task(windows=NIGHT),
        ends(source=NOT_READY),
        pods=(pod(phase="Running"),),
        claims=(WRITER,),
        account_used_at=NOW,
        standing=Standing(demand("run", server("fs")), Full(server("fs"), active=4, position=7, length=31)),
    ),
    TASK,
    NOW,
    to_check=("svc",),
)
EARLIER_AGENT_GONE = replace(EVERYTHING, seen=replace(EVERYTHING.seen, pods=()))
OPEN = replace(EARLIER_AGENT_GONE, seen=replace(EARLIER_AGENT_GONE.seen, task=task()))
READY = replace(OPEN, seen=replace(OPEN.seen, ends=ends()))
LIMITED = replace(READY, seen=replace(READY.seen, claims=()))
ALONE = replace(LIMITED, seen=replace(LIMITED.seen, standing=None))
KEY_FREE = replace(ALONE, seen=replace(ALONE.seen, account_used_at=None))


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (EVERYTHING, "Waiting for an earlier agent of this run to end."),
        (EARLIER_AGENT_GONE, "Windows are closed until"),
        (OPEN, "SmbLocation src (source) is not Ready"),
        (READY, "Queued behind TransferRun other/run, which writes to"),
        (LIMITED, "Queued: 4 of 4 agents are active at file server fs. Place 7 of 31."),
        (ALONE, "a key of the same account"),
        (KEY_FREE, "a check of KerberosIdentity svc"),
        (replace(KEY_FREE, to_check=()), None),
    ],
    ids=["earlier agent", "window", "locations", "other writer", "limits", "account", "key doubt", "nothing"],
)
def test_each_rule_counts_once_those_before_it_are_satisfied(start: Start, expected: str | None) -> None:
    wait = first_wait(WAITS, start)

    assert (wait is None) if expected is None else (wait is not None and expected in wait.message)


@pytest.mark.parametrize(
    ("rules", "start", "expected"),
    [
        (SHARD_WAITS, EARLIER_AGENT_GONE, "Windows are closed until"),
        (SHARD_WAITS, OPEN, "Queued behind TransferRun other/run"),
        (SHARD_WAITS, replace(OPEN, seen=replace(OPEN.seen, claims=())), "SmbLocation src (source) is not Ready"),
        (SHARD_WAITS, LIMITED, "Queued: 4 of 4 agents are active at file server fs."),
        (SHARD_WAITS, ALONE, "a check of KerberosIdentity svc"),
        (STAGE_WAITS, EARLIER_AGENT_GONE, "Windows are closed until"),
        (STAGE_WAITS, OPEN, "Queued behind TransferRun other/run"),
        (STAGE_WAITS, replace(OPEN, seen=replace(OPEN.seen, claims=())), "Queued: 4 of 4 agents are active"),
        (STAGE_WAITS, ALONE, None),
    ],
)
def test_so_does_each_rule_between_stages(rules: tuple[Rule, ...], start: Start, expected: str | None) -> None:
    wait = first_wait(rules, start)

    assert (wait is None) if expected is None else (wait is not None and expected in wait.message)


@pytest.mark.parametrize("rules", [WAITS, SHARD_WAITS], ids=["first agent", "shards"])
def test_a_key_is_tried_last_as_each_try_counts(rules: tuple[Rule, ...]) -> None:
    assert rules[-1].__name__ == "key_doubt"


def test_between_stages_a_run_that_is_only_queued_does_not_count() -> None:
    queued = replace(WRITER, writing=False)
    waiting = replace(ALONE, seen=replace(ALONE.seen, claims=(queued,)), to_check=())

    assert first_wait(WAITS, waiting) is not None
    assert first_wait(SHARD_WAITS, waiting) is None
