"""What is exported of runs that wait, and of the servers that others work at."""

from typing import Any

from tests.support.builders import condition, run_body, snapshot

from smbferry_operator.decide.limits import RunLimits
from smbferry_operator.model import Kind
from smbferry_operator.observe.cache import Cache
from smbferry_operator.telemetry.queue import MAX_SERVERS, queue_metrics
from smbferry_operator.telemetry.runs import RunTotals


def exported(*runs: Any, limits: RunLimits | None = None) -> dict[str, dict[tuple[str, ...], float]]:
    cache = Cache()
    for run in runs:
        cache.put(Kind.RUN, run)
    families = queue_metrics(RunTotals.of(cache), limits or RunLimits(10, None, 100))
    return {f.name: {tuple(s.labels.values()): s.value for s in f.samples} for f in families}


def queued(name: str, reason: str, waiting_for: str = "") -> Any:
    status: dict[str, Any] = {"state": "Queued", "conditions": [condition("Succeeded", "Unknown", reason)]}
    if waiting_for:
        status["queue"] = {"position": 1, "length": 1, "waitingFor": waiting_for}
    return run_body(name, status)


def test_queued_runs_are_counted_by_what_they_wait_for() -> None:
    found = exported(
        queued("a", "LimitReached", "FileServer fs1.example.com"),
        queued("b", "LimitReached", "FileServer fs2.example.com"),
        queued("c", "LimitReached", "Operator"),
        queued("d", "RunQueued"),
        queued("e", "SomebodysOwnWord", "Nonsense x"),
        run_body("new"),
    )["smbferry_queued_runs"]

    assert found == {
        ("team", "LimitReached", "FileServer"): 2,
        ("team", "LimitReached", "Operator"): 1,
        ("team", "RunQueued", ""): 1,
        ("team", "Other", ""): 2,
    }


def test_active_runs_count_at_each_of_their_servers_once() -> None:
    one = run_body("one", {"state": "Transferring", "task": snapshot(server="FS1.example.com")})
    over = run_body("over", {"state": "Succeeded", "task": snapshot(server="fs1.example.com")})

    assert exported(one, over)["smbferry_server_active_runs"] == {("fs1.example.com",): 1}


def test_servers_that_people_make_up_do_not_make_up_series() -> None:
    runs = [
        run_body(f"r{n}", {"state": "Transferring", "task": snapshot(server=f"fs{n}.example.com")})
        for n in range(MAX_SERVERS + 7)
    ]
    found = exported(*runs)["smbferry_server_active_runs"]

    assert len(found) == MAX_SERVERS + 1
    assert found["Other",] == 7


def test_limits_are_exported_and_no_limit_is_absent() -> None:
    assert exported()["smbferry_limit_agents"] == {("FileServer",): 10, ("Operator",): 100}
