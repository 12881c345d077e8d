"""What the engine is asked to do is what the task says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.builders import snapshot

from smbferry_agent.run import engine_options
from smbferry_api.run import ResolvedTask
from smbferry_engine import FileAttribute, Links, Options, Politeness, RetryLocked, Selection, SidMap, to_filetime

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def options_of(**fields: Any) -> Options:
    task = ResolvedTask.model_validate({**snapshot(), **fields})
    return engine_options(task, SidMap(), dry_run=False, started=NOON)


def test_a_task_that_says_nothing_gets_the_engines_own_defaults() -> None:
    assert options_of() == Options()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"minSize": "1Ki", "maxSize": 2048}, Selection(min_size=1024, max_size=2048)),
        ({"minAge": "1h"}, Selection(written_until=to_filetime(NOON - timedelta(hours=1)))),
        ({"maxAge": "720h"}, Selection(written_from=to_filetime(NOON - timedelta(days=30)))),
        ({"excludeAttributes": ["Hidden"]}, Selection(without=(FileAttribute.HIDDEN,))),
    ],
)
def test_sizes_are_bytes_and_ages_count_back_from_the_start(fields: dict[str, Any], expected: Selection) -> None:
    assert options_of(filters=fields).selection == expected


@pytest.mark.parametrize(
    ("own", "share", "expected"),
    [
        (None, None, None),
        ("2Mi", None, 2 << 20),
        (None, 1 << 20, 1 << 20),
        ("2Mi", "1Mi", 1 << 20),
        (1000, "1Mi", 1000),
    ],
)
def test_an_agent_begins_by_its_share_or_by_its_tasks_limit_if_that_is_lower(
    own: str | int | None, share: str | int | None, expected: int | None
) -> None:
    options = {"bytesPerSecond": own} if own is not None else {}

    assert options_of(options=options, bytesPerSecond=share).bytes_per_second == expected


def test_the_longest_age_is_before_all_times() -> None:
    chosen = options_of(filters={"minAge": "876000h", "maxAge": "876000h"}).selection
    assert chosen.written_from == chosen.written_until
    assert to_filetime(NOON) - (chosen.written_from or 0) == 876_000 * 3600 * 10_000_000


def test_files_in_use_are_tried_again_as_the_task_says() -> None:
    assert options_of(options={"retryLocked": {"attempts": 5, "interval": "1m30s"}}).retry_locked == RetryLocked(
        5, 90.0
    )
    assert options_of(options={"retryLocked": {"attempts": 0}}).retry_locked.attempts == 0


@pytest.mark.parametrize("factor", ["1.2", "1.20"])
def test_a_run_gives_way_as_the_task_says(factor: str) -> None:
    assert options_of(options={"politeness": {"latencyFactor": factor}}).politeness == Politeness(1.2)
    task = ResolvedTask.model_validate({**snapshot(), "options": {"politeness": {"latencyFactor": factor}}})
    one_of_four = engine_options(task, SidMap(), dry_run=False, started=NOON, agents=4)
    assert one_of_four.politeness == Politeness(1.2, 4)


@pytest.mark.parametrize(
    ("fields", "links"),
    [
        ({}, Links.SKIP),
        ({"symlinks": "Fail"}, Links.FAIL),
        ({"links": "Copy"}, Links.COPY),
        ({"links": "Skip", "symlinks": "Fail"}, Links.SKIP),
    ],
)
def test_links_are_handled_as_the_new_field_says_or_else_the_old_one(fields: dict[str, str], links: Links) -> None:
    assert options_of(options=fields).links is links
