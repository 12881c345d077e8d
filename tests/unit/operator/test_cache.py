from typing import Any

import pytest
from tests.support.builders import agent_body, condition, identity_body, location_body, run_body, task_body

from smbferry_operator.model import Key, Kind
from smbferry_operator.observe.cache import Cache
from smbferry_operator.observe.tags import TAG_QUEUED
from smbferry_operator.watch.event_router import EventRouter

IDENTITY = Key(Kind.IDENTITY, "team", "svc")
LOCATION = Key(Kind.LOCATION, "team", "src")
TASK = Key(Kind.TASK, "team", "nightly")
RUN = Key(Kind.RUN, "team", "run")
OWNER = (Kind.RUN, "run", "uid-run")


def router() -> tuple[Cache, EventRouter, list[Key]]:
    cache = Cache()
    queued: list[Key] = []
    return cache, EventRouter(cache, queued.append), queued


def test_the_newest_version_wins_whichever_way_it_came() -> None:
    cache = Cache()

    assert cache.put(Kind.TASK, task_body(version=5))
    assert not cache.put(Kind.TASK, task_body(version=5))
    assert not cache.put(Kind.TASK, task_body(version=4, trigger="old"))
    body = cache.get(TASK)
    assert body is not None
    assert "trigger" not in body["spec"]


def test_late_news_of_a_deleted_object_are_not_believed() -> None:
    cache = Cache()
    cache.put(Kind.TASK, task_body(version=5))
    cache.remove(Kind.TASK, task_body(version=7))

    assert not cache.put(Kind.TASK, task_body(version=6))
    assert cache.get(TASK) is None
    assert cache.put(Kind.TASK, task_body(version=8))


def test_a_late_deletion_does_not_remove_a_namesake() -> None:
    cache = Cache()
    cache.put(Kind.TASK, task_body(version=9))
    cache.remove(Kind.TASK, task_body(version=7))

    assert cache.get(TASK) is not None


def test_who_refers_to_whom_follows_changes() -> None:
    cache = Cache()
    cache.put(Kind.LOCATION, location_body(version=1))
    assert cache.referrer_keys(IDENTITY) == [LOCATION]
    cache.put(Kind.LOCATION, location_body(version=2, identity="other"))

    assert cache.referrer_keys(IDENTITY) == []
    assert cache.referrer_keys(Key(Kind.IDENTITY, "team", "other")) == [LOCATION]


def test_what_no_decision_needs_is_not_kept() -> None:
    cache = Cache()
    body = task_body()
    body["metadata"] |= {
        "managedFields": [{"manager": "x"}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "kept": "yes"},
    }
    cache.put(Kind.TASK, body)

    kept = cache.get(TASK)
    assert kept is not None
    assert "managedFields" not in kept["metadata"]
    assert kept["metadata"]["annotations"] == {"kept": "yes"}


def test_tags_find_queued_runs_and_agents_make_their_objects_busy() -> None:
    cache = Cache()
    done = {"conditions": [{"type": "Complete", "status": "True"}]}
    cache.put(Kind.JOB, agent_body(Kind.JOB, "writes", OWNER))
    cache.put(Kind.JOB, agent_body(Kind.JOB, "wrote", OWNER, status=done))
    for name in ("checks", "checks-locations"):
        cache.put(Kind.JOB, agent_body(Kind.JOB, name, (Kind.IDENTITY, "svc", "uid-svc")))
    cache.put(Kind.POD, agent_body(Kind.POD, "living", OWNER, status={"phase": "Running"}))
    cache.put(Kind.POD, agent_body(Kind.POD, "ended", OWNER, status={"phase": "Failed"}))
    cache.put(Kind.IDENTITY, identity_body())
    cache.put(Kind.RUN, run_body("new"))
    cache.put(Kind.RUN, run_body("busy", {"state": "Transferring"}))

    assert [key.name for key in cache.tagged(TAG_QUEUED)] == ["new"]
    assert (cache.is_busy(IDENTITY), cache.is_busy(RUN)) == (True, False), "the run is not known"
    assert cache.agents_by_namespace(Kind.IDENTITY, Kind.LOCATION) == {"team": 2}
    cache.put(Kind.RUN, run_body())
    assert cache.is_busy(RUN)
    cache.put(Kind.JOB, agent_body(Kind.JOB, "writes", OWNER, status=done, version=2))
    cache.put(Kind.POD, agent_body(Kind.POD, "living", OWNER, status={"phase": "Failed"}, version=2))
    assert not cache.is_busy(RUN)


@pytest.mark.fault(193)
def test_a_check_that_a_queue_holds_back_takes_no_room_from_other_checks_but_a_run_keeps_its_claim() -> None:
    cache = Cache()
    held = {"conditions": [{"type": "Suspended", "status": "True"}]}
    for name, owner in (("checks", (Kind.IDENTITY, "svc", "uid-svc")), ("writes", OWNER)):
        cache.put(Kind.JOB, agent_body(Kind.JOB, name, owner, status=held))
    cache.put(Kind.IDENTITY, identity_body())
    cache.put(Kind.RUN, run_body())

    assert cache.agents_by_namespace(Kind.IDENTITY, Kind.LOCATION) == {}
    assert cache.is_busy(RUN)
    again = {"conditions": [{"type": "Suspended", "status": "False"}], "active": 1}
    cache.put(Kind.JOB, agent_body(Kind.JOB, "checks", (Kind.IDENTITY, "svc", "uid-svc"), status=again, version=2))
    assert cache.is_busy(IDENTITY)


def test_news_of_an_object_concern_those_who_refer_to_it() -> None:
    cache, heard, queued = router()
    cache.put(Kind.LOCATION, location_body())
    heard.seen(Kind.IDENTITY, identity_body())

    assert sorted(queued) == [IDENTITY, LOCATION]


def test_news_of_an_agent_concern_its_object_only() -> None:
    """Whom its end lets go on is found by the decision about its run."""
    cache, heard, queued = router()
    told = [condition("Succeeded", "Unknown", "RunQueued")]
    cache.put(Kind.RUN, run_body("waits", {"state": "Queued", "conditions": told}))
    for version, phase in ((1, "Running"), (2, "Succeeded")):
        status: dict[str, Any] = {"status": {"phase": phase}}
        heard.seen(Kind.POD, agent_body(Kind.POD, "p", OWNER, version=version, **status))

    assert set(queued) == {RUN}


def test_who_follows_the_cache_hears_of_each_change() -> None:
    cache = Cache()
    cache.put(Kind.TASK, task_body(version=1))
    changed = cache.follow()
    assert changed == {TASK}, "all that there is at first"
    for change in (
        lambda: cache.put(Kind.RUN, run_body()),
        lambda: cache.remove(Kind.TASK, task_body(version=2)),
        cache.clear,
    ):
        changed.clear()
        change()
        assert changed


def test_a_runs_progress_concerns_nobody_else_but_its_end_does() -> None:
    cache, heard, queued = router()
    cache.put(Kind.TASK, task_body())
    cache.put(Kind.LOCATION, location_body())
    heard.seen(Kind.RUN, run_body(status={"state": "Transferring"}, version=1))
    queued.clear()
    heard.seen(Kind.RUN, run_body(status={"state": "Transferring", "counters": {}}, version=2))
    progress = list(queued)
    queued.clear()
    heard.seen(Kind.RUN, run_body(status={"state": "Succeeded"}, version=3))

    assert progress == [RUN]
    assert sorted(queued) == [IDENTITY, Key(Kind.LOCATION, "team", "dst"), LOCATION, RUN, TASK]


def test_a_full_list_finds_what_the_watches_missed() -> None:
    cache, heard, queued = router()
    for name, version in (("stays", 1), ("gone", 2), ("newer", 30)):
        cache.put(Kind.TASK, task_body(name, version=version))
    cache.put(Kind.TASK, task_body("elsewhere", version=1, namespace="other"))
    names = heard.listed(Kind.TASK, [task_body("stays", version=1)])
    names |= heard.listed(Kind.TASK, [task_body("new", version=3)])
    heard.complete(Kind.TASK, names, 20, within=lambda key: key.namespace == "team")

    assert sorted(key.name for key in queued) == ["gone", "new"]
    assert [cache.get(Key(Kind.TASK, "team", n)) is not None for n in ("stays", "gone", "new", "newer")] == [
        True,
        False,
        True,
        True,
    ]
    assert cache.get(Key(Kind.TASK, "other", "elsewhere")) is not None
