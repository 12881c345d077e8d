"""Who starts next at a limit, who never waits for ever, and what it costs to know."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.operator.fleets import SEEDS, Fleet, demand, namespace, place, server

from smbferry_operator.decide.limits import Counted, Demand, LimitKey, Scope
from smbferry_operator.observe.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Iterable


def lines_with(active: Iterable[Demand], waiting: Iterable[Demand] = (), per_namespace: int | None = None) -> Lines:
    lines = Lines(per_namespace)
    for run in active:
        lines.set_active(run)
    for run in waiting:
        lines.set_waiting(run)
    lines.to_wake()
    return lines


def names(keys: Iterable[object]) -> list[str]:
    return [str(getattr(key, "name")) for key in keys]  # noqa: B009 - of a Key


def test_a_run_waits_where_it_finds_no_room_and_is_told_its_place() -> None:
    lines = lines_with(
        [demand(f"a{n}", server("fs")) for n in range(4)], [demand(f"w{n}", server("fs"), age=9 - n) for n in range(6)]
    )
    full = lines.full(demand("new", server("fs")))

    assert full is not None
    assert (full.active, full.position, full.length) == (4, 7, 7)
    assert full.message == "Queued: 4 of 4 agents are active at file server fs. Place 7 of 7."
    assert full.waiting_for == "FileServer fs"
    assert lines.full(demand("elsewhere", server("other"))) is None


def test_an_end_wakes_the_head_of_the_line_and_nobody_else() -> None:
    active = [demand(f"a{n}", server("fs")) for n in range(4)]
    lines = lines_with(active, [demand(f"w{n}", server("fs"), age=100 - n) for n in range(50)])

    lines.remove(active[0].run)
    assert names(lines.to_wake()) == ["w0"]
    assert lines.to_wake() == [], "once"
    lines.set_active(demand("w0", server("fs"), age=100))
    assert lines.to_wake() == []


def test_who_leaves_the_line_before_its_turn_leaves_it_to_the_next() -> None:
    """Its windows have closed, or its location is no longer Ready."""
    active = demand("a", server("fs", 1))
    first, second = (demand(name, server("fs", 1), age=age) for name, age in (("first", 90), ("second", 50)))
    lines = lines_with([active], [first, second])
    lines.remove(first.run)
    assert lines.to_wake() == []
    full = lines.full(second)
    assert full is not None
    assert (full.position, full.length) == (1, 1)

    lines.remove(active.run)
    assert names(lines.to_wake()) == ["second"]


def test_in_a_namespace_a_higher_priority_goes_first_then_the_older() -> None:
    waiting = [
        demand("old", server("fs"), age=90),
        demand("young", server("fs"), age=10),
        demand("urgent", server("fs"), age=1, priority=5),
        demand("idle", server("fs"), age=99, priority=-5),
    ]
    lines = lines_with([demand("a", server("fs", 1))], [])
    order = []
    for run in waiting:
        lines.set_waiting(demand(run.run.name, server("fs", 1), age=_age(run), priority=run.priority))
    lines.remove(demand("a").run)
    while woken := lines.to_wake():
        (key,) = woken
        order.append(key.name)
        lines.remove(key)

    assert order == ["urgent", "old", "young", "idle"]


def _age(run: Demand) -> float:
    return (demand("now").created - run.created).total_seconds()


def test_a_priority_overtakes_nobody_of_another_namespace() -> None:
    lines = lines_with(
        [demand("a", server("fs", 1))],
        [
            demand("patient", server("fs", 1), home="victim", age=60),
            demand("pushy", server("fs", 1), home="evil", age=10, priority=1000),
        ],
    )
    lines.remove(demand("a").run)

    assert names(lines.to_wake()) == ["patient"]


def test_the_namespace_with_the_fewest_active_runs_comes_next() -> None:
    """One that queues a thousand runs before anybody else does not get all the room."""
    active = [demand(f"a{n}", server("fs"), home="many", age=2000) for n in range(4)]
    waiting = [demand(f"m{n}", server("fs"), home="many", age=1000 - n) for n in range(100)]
    lines = lines_with(active, [*waiting, demand("late", server("fs"), home="few", age=1)])
    late = lines.full(demand("late", server("fs"), home="few", age=1))

    assert late is not None
    assert (late.position, late.length) == (1, 101)
    lines.remove(active[0].run)
    assert names(lines.to_wake()) == ["late"]


def test_a_place_in_the_queue_is_the_number_of_starts_until_ones_own() -> None:
    """Across namespaces, and each place once."""
    chance = random.Random(1)
    waiting = [
        demand(f"w{n}", server("fs", 1), home=f"ns{chance.randrange(4)}", age=chance.randrange(50), priority=n % 3)
        for n in range(40)
    ]
    lines = lines_with([demand("a", server("fs", 1), age=99)], waiting)
    places = {}
    for run in waiting:
        full = lines.full(run)
        assert full is not None
        assert full.length == 40
        places[full.position] = run.run
    assert sorted(places) == list(range(1, 41)), "each place once"
    lines.remove(demand("a").run)

    assert lines.to_wake() == [places[1]]


def test_a_run_that_nothing_but_something_else_keeps_does_not_stand_in_line() -> None:
    """The location of the first is not Ready: it is not among those that wait for the limit."""
    lines = lines_with([demand("a", server("fs", 1))], [demand("next", server("fs", 1), age=5)])
    lines.stand_aside(demand("next").run)
    lines.set_waiting(demand("other", server("fs", 1), age=1))
    lines.remove(demand("a").run)

    assert names(lines.to_wake()) == ["other"]


def test_a_head_that_waits_elsewhere_too_lets_the_next_go_and_holds_nothing() -> None:
    both, one = server("fs1", 1), server("fs2", 1)
    lines = lines_with(
        [demand("a", both, age=500), demand("b", one, age=500)],
        [demand("two", both, one, age=90), demand("single", both, age=10)],
    )
    lines.remove(demand("a").run)

    assert names(lines.to_wake()) == ["single"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_that_needs_two_servers_is_not_overtaken_for_ever(seed: int) -> None:
    """Each of the two has an endless line of runs that need only one, and never has room at the same time."""
    fleet = Fleet(random.Random(seed))
    one, two = server("fs1", 1), server("fs2", 1)
    for name, at in (("x", one), ("y", two)):
        fleet.comes(demand(name, at, age=1000))
    fleet.settles()
    fleet.comes(demand("both", one, two, age=500))
    fleet.settles()
    for n in range(30):
        fleet.comes(demand(f"a{n}", one, age=400 - n))
        fleet.comes(demand(f"b{n}", two, age=400 - n))
    fleet.settles()
    ends = 0
    while "both" not in names(run.run for run in fleet.started):
        fleet.ends(min(fleet.active.values(), key=lambda run: run.created))
        fleet.settles()
        ends += 1
        assert ends < 8, "a whole generation overtook it, and another"


def test_room_is_not_kept_for_a_run_that_its_own_namespaces_limit_keeps_back() -> None:
    """Otherwise a namespace at its limit could keep a server idle for others."""
    own = namespace("evil", 1)
    lines = lines_with(
        [demand("works", server("elsewhere"), own, home="evil"), demand("younger", server("fs", 2), home="team")],
        [demand("old", server("fs", 2), own, home="evil", age=900)],
    )

    assert lines.full(demand("new", server("fs", 2), home="team")) is None


def test_what_no_check_has_opened_counts_at_home_only() -> None:
    fake = [demand(f"f{n}", server("fs", 2, proven=False), home="evil") for n in range(2)]
    lines = lines_with(fake)

    assert lines.full(demand("real", server("fs", 2), home="team")) is None
    assert lines.full(demand("third", server("fs", 2), home="evil")) is not None


def test_a_namespace_counts_for_others_with_no_more_than_it_may_have() -> None:
    """Jobs that nobody admitted: a tenant made them."""
    forged = [demand(f"f{n}", server("fs", 4), home="evil") for n in range(9)]
    lines = lines_with(forged, per_namespace=2)

    assert lines.full(demand("real", server("fs", 4), home="team")) is None
    assert lines_with(forged).full(demand("real", server("fs", 4), home="team")) is not None


def test_a_run_counts_once_for_each_agent_and_needs_room_for_all() -> None:
    lines = lines_with([demand("wide", server("fs"), agents=3)])

    assert lines.full(demand("one", server("fs"))) is None
    full = lines.full(demand("two", server("fs"), agents=2))
    assert full is not None
    assert (
        full.message == "Queued: 3 of 4 agents are active at file server fs, and other runs start first. Place 1 of 1."
    )


def test_between_two_jobs_a_run_keeps_its_room_whoever_waits() -> None:
    working = demand("working", server("fs", 2), age=1, agents=2)
    lines = lines_with([working], [demand("older", server("fs", 2), age=90, agents=2)])

    assert lines.full(working) is None
    assert lines.full(demand("working", server("fs", 1), age=1, agents=1)) is None, "a lowered limit reduces its agents"


def test_small_runs_do_not_take_for_ever_the_room_that_a_wide_one_waits_for() -> None:
    """All that work have overtaken it."""
    active = [demand(f"a{n}", server("fs"), age=9) for n in range(4)]
    lines = lines_with(active, [demand("wide", server("fs"), age=50, agents=3), demand("small", server("fs"), age=5)])
    for run in active[:2]:
        lines.remove(run.run)
    assert lines.to_wake() == []
    lines.remove(active[2].run)

    assert names(lines.to_wake()) == ["wide"]


def test_a_bandwidth_is_divided_among_those_that_work_and_they_are_woken_when_it_changes() -> None:
    limited = place("team/dst", rate=1000)
    lines = lines_with([demand("a", limited)])
    assert lines.rate(demand("a", limited)) == 1000
    assert lines.rate(demand("b", limited)) == 500, "with itself, before it has started"

    lines.set_active(demand("b", limited, place("team/src", rate=90)))
    assert names(lines.to_wake()) == ["a", "b"]
    assert lines.rate(demand("b", limited, place("team/src", rate=90))) == 90, "the lower of both"
    lines.remove(demand("b").run)
    assert names(lines.to_wake()) == ["a"]
    lines.set_active(demand("a", place("team/dst")))
    assert names(lines.to_wake()) == ["a"], "and when the limit goes"


def test_nothing_is_left_of_runs_that_are_gone() -> None:
    lines = lines_with([demand("a", server("fs", 1))], [demand("w", server("fs", 1))])
    lines.remove(demand("a").run)
    lines.remove(demand("w").run)
    lines.to_wake()

    assert not lines._lines
    assert lines.active_at(Scope.SERVER) == {}


def _cost(waiting: int) -> tuple[int, int]:
    """Runs that are looked at by a decision, and by an end, with so many waiting."""
    active = [demand(f"a{n}", server("fs"), home=f"ns{n}", age=9999) for n in range(4)]
    lines = lines_with(
        active, [demand(f"w{n}", server("fs"), home=f"ns{n % 10}", age=9000 - n / 10) for n in range(waiting)]
    )
    before = lines.looked_at
    assert lines.full(demand("new", server("fs"))) is not None
    decided = lines.looked_at
    lines.remove(active[0].run)
    assert len(lines.to_wake()) == 1
    return decided - before, lines.looked_at - decided


def test_a_decision_costs_the_same_with_ten_and_with_ten_thousand_runs_in_line() -> None:
    assert _cost(10_000) == _cost(100)
    assert sum(_cost(10_000)) <= sum(_cost(10)) + 4, "what is looked at is what is active"


KEYS = [server(f"fs{n:02}") for n in range(20)]


def _thousand(chance: random.Random) -> list[Demand]:
    """Runs of several namespaces: with one limited end and with two, some in a limited location, some with agents."""
    made = []
    for n in range(1000):
        ends: list[Counted] = chance.sample(KEYS, chance.choice((1, 2)))
        home = f"ns{chance.randrange(6)}"
        if n % 10 == 0:
            ends.insert(0, place(f"{home}/dst", 2))
        ends += [namespace(home, 15), Counted(LimitKey(Scope.OPERATOR, ""), "", 60)]
        agents = chance.choice((1, 1, 1, 1, 1, 1, 2, 3)) if n % 10 else 1
        priority = chance.choice((0, 0, 0, 10, -10))
        made.append(demand(f"r{n}", *ends, home=home, age=2000 - n, priority=priority, agents=agents))
    return made


def _simulated(seed: int, *, at_once: bool) -> Fleet:
    """A thousand runs come, leave the line, work and end, and operators are replaced, until nothing is left to do.

    Args:
        at_once: whether each change is decided about before the next, else whenever and in any order.
    """
    chance = random.Random(seed)
    fleet = Fleet(chance, ordered=at_once)
    to_come = _thousand(chance)
    while len(fleet.started) < 1000 or fleet.active:
        for _ in range(min(len(to_come), chance.randrange(60))):
            fleet.comes(to_come.pop(0))
            if at_once:
                fleet.settles()
        for _ in range(chance.randrange(1 + len(fleet.queue))):
            fleet.decides()
        if chance.random() < 0.02:
            fleet.restarts()
        if fleet.waiting and chance.random() < 0.1:
            to_come.append(fleet.leaves())
        if at_once:
            fleet.settles()
        if fleet.active and chance.random() < 0.9:
            fleet.ends(chance.choice(list(fleet.active.values())))
        if fleet.waiting and not (fleet.active or to_come):
            assert fleet.queue, f"{len(fleet.waiting)} runs wait for ever"
    return fleet


@pytest.mark.parametrize(("seed", "at_once"), [(0, True), (1, False)], ids=["decided at once", "decided in any order"])
def test_a_thousand_runs_on_twenty_servers_never_exceed_a_limit_and_all_get_done(seed: int, *, at_once: bool) -> None:
    """Limits are checked at each start, and order where decisions follow changes at once."""
    fleet = _simulated(seed, at_once=at_once)

    assert len({run.run for run in fleet.started}) == 1000
    assert {fleet.most[key.key] for key in KEYS} == {4}, "the room was used, and no more"


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1 << 32))
def test_whoever_may_go_has_been_woken(seed: int) -> None:
    """Nobody has to look at all that wait to find one that could start."""
    chance = random.Random(seed)
    fleet = Fleet(chance)
    for run in chance.sample(_thousand(chance), 80):
        fleet.comes(run)
        if chance.random() < 0.5:
            fleet.settles()
        if fleet.active and chance.random() < 0.3:
            fleet.ends(chance.choice(list(fleet.active.values())))
        if fleet.waiting and chance.random() < 0.2:
            fleet.leaves()
    fleet.settles()

    assert [run.run for run in fleet.waiting.values() if fleet.lines.full(run) is None] == []
