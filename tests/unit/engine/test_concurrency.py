"""How much a run has in flight beside others, on played servers: it gives way, takes room back, and never stops."""

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.engine.played_servers import Load, Played, PlayedServer

from smbferry_engine.plan.concurrency import FLOOR, MOST, START, UNMEASURED, ConcurrencyController, quantile

SEEDS = pytest.mark.parametrize("seed", range(3))
BUSY_FROM, BUSY_UNTIL = 20.0, 40.0


def neighbor(processors: float, *, usually: float = 0.2) -> Load:
    """Somebody who keeps so many processors busy for a while."""
    return lambda now: processors if BUSY_FROM <= now < BUSY_UNTIL else usually


def full_speed() -> ConcurrencyController:
    """One that has taken all room at a source whose usual reply takes a millisecond, and decides again at 1000.0."""
    controller = ConcurrencyController(1.2, ("source",), interval=0.025, now=0.0)
    controller.learn("source", [0.001] * 80, 0.0)
    for second in range(1, 1001):
        for _ in range(20):
            controller.add("source", 0.001, float(second))
        controller.decide(float(second), 24, {})
    assert controller.limit == MOST
    return controller


def pair(source: PlayedServer, seed: int) -> Played:
    """A run between a played server and one that is never busy."""
    source.source = random.Random(seed)
    played = Played({"source": source, "destination": PlayedServer(source=random.Random(seed + 100))})
    played.learn()
    return played


@SEEDS
@pytest.mark.parametrize(
    "server",
    [PlayedServer(), PlayedServer(line=0.1), PlayedServer(tail=1.0), PlayedServer(cores=32, most=16.0)],
    ids=["room", "a line of 100 ms", "heavy-tailed replies", "many processors"],
)
def test_beside_a_light_neighbor_a_run_keeps_its_rate(server: PlayedServer, seed: int) -> None:
    played = pair(server, seed)
    played.run(120)
    assert played.of_full_rate(60) >= 0.9


@SEEDS
@pytest.mark.parametrize("processors", [5.5, 6.5, 8.0])
def test_a_run_gives_way_within_seconds_and_takes_the_room_back(processors: float, seed: int) -> None:
    played = pair(PlayedServer(others=neighbor(processors)), seed)
    played.run(BUSY_FROM)
    before = played.in_flight
    played.run(5)
    assert played.in_flight <= before / 4
    played.run(BUSY_UNTIL - played.now + 15)
    assert played.of_full_rate(1) >= 0.9


@SEEDS
def test_the_slower_server_decides(seed: int) -> None:
    played = pair(PlayedServer(), seed)
    played.servers["destination"].others = neighbor(8.0)
    played.run(BUSY_FROM + 6)
    assert played.in_flight <= 4
    assert played.controller.fact(played.now).side == "destination"


@SEEDS
@pytest.mark.parametrize("cores", [1, 2])
def test_a_run_that_fills_the_server_settles_where_replies_stay_near_the_idle_ones(cores: int, seed: int) -> None:
    server = PlayedServer(cores=cores, most=0.9 * cores, others=lambda _now: 0.05)
    alone = Played({"source": server})
    full = alone.usual("source", 24)
    played = pair(server, seed)
    played.run(120)
    settled = played.limits[-60:]
    found = played.usual("source", sum(settled) / len(settled))
    assert found < min(alone.usual("source", 0) * 2.5, full / 2)
    assert max(settled) <= 3 * min(settled)
    assert played.of_full_rate(60) > 0.1


@pytest.mark.fault(204)
@SEEDS
def test_a_server_that_became_slower_for_good_does_not_hold_a_run_at_the_floor(seed: int) -> None:
    played = pair(PlayedServer(most=2.0, slower=lambda now: 1.0 if now < 10 else 2.0), seed)
    played.run(60)
    assert played.in_flight == FLOOR
    played.run(840)
    assert played.of_full_rate(300) >= 0.2


@SEEDS
def test_an_idle_time_that_was_measured_in_a_busy_moment_is_corrected(seed: int) -> None:
    busy = PlayedServer(most=1.0, others=lambda now: 7.9 if now < 5 else 0.2)
    played = pair(busy, seed)
    learned = played.controller.fact(0.0).idle
    played.run(60)
    corrected = played.controller.fact(played.now).idle
    assert learned is not None
    assert corrected is not None
    assert corrected < learned / 1.5


def test_one_reply_that_takes_seconds_counts_for_all_that_it_has_prevented() -> None:
    controller = full_speed()
    for _ in range(20):
        controller.add("source", 0.001, 1000.5)
    controller.add("source", 2.0, 1002.5)
    assert controller.decide(1002.5, 24, {})
    assert controller.limit < 15


@pytest.mark.fault(204)
def test_a_server_that_stalls_is_noticed_before_it_answers() -> None:
    controller = full_speed()
    assert not controller.decide(1002.0, 24, {"source": 2.0})
    assert controller.decide(1003.0, 24, {"source": 2.5})
    assert controller.limit <= 12


def test_a_reply_that_nobody_has_looked_at_yet_is_not_late() -> None:
    controller = full_speed()
    controller.add("source", 0.001, 1002.9)
    assert controller.decide(1003.0, 24, {"source": 0.5})
    assert controller.limit == MOST


@SEEDS
def test_a_run_begins_with_little_and_takes_what_is_free_within_seconds(seed: int) -> None:
    played = pair(PlayedServer(), seed)
    assert played.in_flight == START
    played.run(10)
    assert played.in_flight == played.demand


def test_the_limit_at_which_replies_were_slow_is_approached_in_small_steps_and_then_forgotten() -> None:
    controller = full_speed()
    found = []
    for second in range(1001, 1016):
        for _ in range(20):
            controller.add("source", 0.002 if second == 1001 else 0.001, float(second))
        controller.decide(float(second), 24, {})
        found.append(round(controller.limit, 1))
    assert found[0] == 12.0
    steps = [after / before for before, after in itertools.pairwise(found)]
    near = [step for before, step in zip(found, steps, strict=False) if 20 < before < 26]
    assert max(near) == pytest.approx(1.1, abs=0.02)
    assert found[-1] == MOST


def test_while_a_server_cannot_be_measured_one_request_is_in_flight() -> None:
    controller = ConcurrencyController(1.2, ("source", "destination"), interval=0.025, now=0.0)
    controller.learn("source", [0.001] * 80, 0.0)
    now = 0.0
    while now < 30:
        now += 0.025
        controller.add("source", 0.001, now)
        controller.decide(now, 24, {})
    assert controller.limit == UNMEASURED
    assert controller.fact(now).unmeasured == ("destination",)
    while now < 60:
        now += 0.025
        controller.add("source", 0.001, now)
        controller.add("destination", 0.001, now)
        controller.decide(now, 24, {})
    assert controller.limit == MOST
    assert controller.fact(now).unmeasured == ()


def test_what_it_says_is_what_it_does() -> None:
    controller = ConcurrencyController(1.5, ("source", "destination"), interval=0.025, now=0.0)
    controller.learn("source", [0.001] * 80, 0.0)
    controller.learn("destination", [0.002] * 80, 0.0)
    assert controller.fact(0.0).share == 1.0
    for _ in range(20):
        controller.add("source", 0.001, 1.0)
        controller.add("destination", 0.004, 1.0)
    assert controller.decide(1.0, 2, {})
    fact = controller.fact(1.0)
    assert (fact.side, fact.idle, fact.current, fact.latency_factor) == ("destination", 0.002, 0.004, 1.5)
    assert (fact.share, fact.slowed) == (0.5, 1.0)


def test_the_time_in_which_the_idle_servers_are_measured_is_not_counted() -> None:
    controller = ConcurrencyController(1.2, ("source",), interval=0.025, now=0.0)
    controller.learn("source", [0.001] * 80, 4.0)
    controller.begin(4.0)
    for moment, slow in ((5.0, 0.001), (6.0, 0.002)):
        for _ in range(20):
            controller.add("source", slow, moment)
        assert controller.decide(moment, 2, {})
    assert controller.fact(6.0).slowed == 1.0


@pytest.mark.fault(204)
@given(
    factor=st.floats(1.000001, 10),
    replies=st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 200), st.floats(0, 1e4)), max_size=200),
    idle=st.lists(st.floats(0, 1e4), max_size=80),
)
def test_whatever_servers_do_the_limit_is_a_number_between_the_floor_and_the_most(
    factor: float, replies: list[tuple[float, int, float]], idle: list[float]
) -> None:
    controller = ConcurrencyController(factor, ("source",), interval=0.025, now=0.0)
    controller.learn("source", idle, 0.0)
    now = 0.0
    for seconds, in_flight, pause in replies:
        now += pause
        controller.add("source", seconds, now)
        controller.decide(now, in_flight, {"source": seconds})
        assert FLOOR <= controller.limit <= MOST
        fact = controller.fact(now)
        assert 0 < fact.share <= 1
        assert math.isfinite(fact.slowed)
        assert fact.idle is None or fact.idle > 0


@given(st.lists(st.floats(0, 1e9), min_size=1), st.floats(0, 1))
def test_a_quantile_is_one_of_the_values(values: list[float], part: float) -> None:
    found = quantile(values, part)
    assert found in values
    assert sum(value <= found for value in values) >= part * len(values)
