"""How a run gives way: calls in flight are limited on a session, probes run beside it, and nothing else changes."""

from collections.abc import Callable

import pytest
from lab.fake_server import Node, Request, drive, file, make_session
from lab.fake_server.samples import link
from lab.fake_server.world import World

from smbferry_engine.core.calls import close_request, empty_request, open_request
from smbferry_engine.core.window import LONGEST_REST, CallWindow
from smbferry_engine.errors import EngineError
from smbferry_engine.model import Politeness, SideName
from smbferry_engine.operations.transfer import execute
from smbferry_engine.plan.concurrency import UNMEASURED
from smbferry_engine.run.politeness import INTERVAL, Courtesy, politely
from smbferry_engine.runtime.tasks import Scheduler
from smbferry_engine.session.driver import Driver
from smbferry_engine.wire.header import Command
from smbferry_words.reasons import CONNECTION_LOST, PLAINTEXT_REPLY, SESSION_ENDED

QUICK, LATE = 0.001, 0.1


class PlayedProbe:
    """Replies after as long as `takes` says, by the time; None is no reply."""

    def __init__(self, scheduler: Scheduler, takes: Callable[[float], float | None]) -> None:
        self._scheduler = scheduler
        self._takes = takes
        self.asked = 0
        self.closed = False

    @property
    def waits(self) -> float:
        return 0.0

    async def ask(self) -> float | None:
        self.asked += 1
        seconds = self._takes(self._scheduler.now)
        if seconds is None:
            raise EngineError(CONNECTION_LOST, "played")
        await self._scheduler.sleep(seconds)
        return seconds

    def close(self) -> None:
        self.closed = True


class PoliteWorld(World):
    """A world whose run gives way; the destination replies as `takes` says."""

    def __init__(
        self, source: Node, takes: Callable[[float], float | None], *, agents: int = 1, credits_: int = 64
    ) -> None:
        super().__init__(source, credits_=credits_)
        self.probes: dict[SideName, PlayedProbe] = {
            "source": PlayedProbe(self.scheduler, lambda _now: QUICK),
            "destination": PlayedProbe(self.scheduler, takes),
        }
        self.agents = agents

    def go(self, **options: object) -> Courtesy:
        run = self.prepare(**options)
        courtesy = Courtesy(
            self.scheduler,
            Politeness(1.2, self.agents),
            self.probes,
            lambda: [link.session for link in self.links],
            run.tally.counters,
        )
        drive(self.scheduler, courtesy.around(execute(run)), *self.links)
        return courtesy


def slow_tree(seconds: int) -> tuple[Node, int]:
    """A tree, and the rate at which it takes so many seconds to copy."""
    content = bytes(range(256)) * 40
    return Node(None, {f"f{index}": file(content) for index in range(seconds)}, 0), len(content)


def test_a_window_sends_as_many_calls_as_it_is_wide_and_the_next_after_a_reply() -> None:
    joined, scheduler = link(), Scheduler()
    joined.hold_replies = True
    joined.session.window = window = CallWindow(scheduler, 2)
    calls = [joined.session.call(open_request("f", access=1), close_request()) for _ in range(5)]
    joined.exchange()
    assert window.in_flight == 2
    joined.reply(joined.held.pop(0))
    joined.exchange()
    assert [call.done for call in calls] == [True, False, False, False, False]
    assert window.in_flight == 2
    assert window.peak() == 2
    joined.hold_replies = False
    while joined.exchange():
        pass
    assert all(call.done for call in calls)
    assert window.in_flight == 0


@pytest.mark.parametrize(
    ("limit", "took", "rest"), [(1.0, 0.1, 0.0), (0.5, 0.1, 0.1), (0.25, 0.1, 0.3), (0.25, 60.0, LONGEST_REST)]
)
def test_below_one_call_a_window_rests_after_each_reply(limit: float, took: float, rest: float) -> None:
    joined, scheduler = link(), Scheduler()
    joined.hold_replies = True
    joined.session.window = CallWindow(scheduler, limit)
    first, second = (joined.session.call(open_request("f", access=1), close_request()) for _ in range(2))
    joined.exchange()
    # As the driver does: it delivers what came while it waited, and sets the time afterwards.
    joined.hold_replies = False
    joined.exchange()
    assert first.done
    scheduler.advance(took)
    if rest:
        scheduler.advance(took + rest - 0.01)
        joined.exchange()
        assert not second.done
    scheduler.advance(took + rest + 0.01)
    joined.exchange()
    joined.exchange()
    assert second.done


def test_a_window_between_one_call_and_two_is_two_that_rest() -> None:
    joined, scheduler = link(), Scheduler()
    joined.hold_replies = True
    joined.session.window = window = CallWindow(scheduler, 1.5)
    for _ in range(3):
        joined.session.call(open_request("f", access=1), close_request())
    joined.exchange()
    assert window.in_flight == 2
    joined.reply(joined.held.pop(0))
    scheduler.advance(0.3)
    joined.exchange()
    assert window.in_flight == 1
    scheduler.advance(0.41)
    joined.exchange()
    assert window.in_flight == 2


def test_an_echo_passes_a_full_window_so_that_a_slow_server_is_not_taken_for_dead() -> None:
    joined = link()
    joined.hold_replies = True
    joined.session.window = window = CallWindow(Scheduler(), 1)
    for _ in range(3):
        joined.session.call(open_request("f", access=1), close_request())
    joined.exchange()
    echo = joined.session.call(empty_request(Command.ECHO))
    joined.exchange()
    assert len(joined.held) == 2
    joined.reply(joined.held.pop())
    assert echo.done
    assert window.in_flight == 1


def test_calls_that_an_expired_session_refused_leave_their_places() -> None:
    joined = link()
    joined.session.life.renewable = True
    joined.session.window = window = CallWindow(Scheduler(), 1)
    refusing = [True]
    joined.server.faults.append(lambda _request: 0xC000035C if refusing[0] else None)
    calls = [joined.session.call(open_request("f", access=1), close_request()) for _ in range(2)]
    joined.exchange()
    assert joined.session.expired
    assert window.in_flight == 0
    refusing[0] = False
    joined.session.renewed()
    while joined.exchange():
        pass
    assert [call.result()[0].status for call in calls] == [0, 0]
    assert window.in_flight == 0


def test_a_window_outlives_a_connection_and_forgets_its_calls() -> None:
    joined = link()
    joined.hold_replies = True
    joined.session.window = window = CallWindow(Scheduler(), 1)
    joined.session.call(open_request("f", access=1), close_request())
    joined.exchange()
    last, following = joined.session, make_session()
    last.fail(EngineError(SESSION_ENDED, "lost"))
    following.follow(last)
    assert following.window is window
    assert window.in_flight == 0


def test_a_run_gives_way_while_replies_are_slow_and_says_so() -> None:
    tree, rate = slow_tree(60)
    world = PoliteWorld(tree, lambda now: LATE if 10 < now < 30 else QUICK)
    world.go(bytes_per_second=rate)
    assert world.run is not None
    fact = world.run.tally.counters.politeness
    assert fact is not None
    assert (fact.share, fact.unmeasured) == (1.0, ())
    assert 15 <= fact.slowed <= 35
    assert world.copied == world.original
    assert world.reasons == []


@pytest.mark.parametrize("credits_", [1, 2, 3])
def test_a_run_that_gives_way_completes_with_few_credits_too(credits_: int) -> None:
    tree, rate = slow_tree(30)
    world = PoliteWorld(tree, lambda now: LATE if now > 5 else QUICK, credits_=credits_)
    for server in (world.source, world.destination):
        server.keep_credits(credits_, first=credits_)
    world.go(bytes_per_second=rate)
    assert world.copied == world.original
    assert world.reasons == []


@pytest.mark.fault(203)
def test_a_run_goes_on_with_one_request_where_nothing_can_be_measured() -> None:
    tree, rate = slow_tree(30)
    world = PoliteWorld(tree, lambda _now: None)
    courtesy = world.go(bytes_per_second=rate)
    assert courtesy.controller.limit == UNMEASURED
    assert world.run is not None
    fact = world.run.tally.counters.politeness
    assert fact is not None
    assert fact.unmeasured == ("destination",)
    assert world.copied == world.original
    assert world.reasons == []


@pytest.mark.fault(203)
def test_a_probe_that_comes_back_is_measured_again() -> None:
    tree, rate = slow_tree(120)
    world = PoliteWorld(tree, lambda now: None if 10 < now < 40 else QUICK)
    courtesy = world.go(bytes_per_second=rate)
    assert courtesy.controller.limit > UNMEASURED
    assert world.copied == world.original


def test_a_lost_connection_of_the_run_changes_nothing_about_its_limit() -> None:
    tree, rate = slow_tree(40)
    world = PoliteWorld(tree, lambda now: LATE if now > 5 else QUICK)
    count = [0]

    def fault(_request: Request) -> None:
        count[0] += 1
        if count[0] == 20:
            world.links[0].lose = True

    world.source.faults.append(fault)
    world.go(bytes_per_second=rate)
    assert world.restored == 1
    assert world.copied == world.original


def test_when_a_run_has_ended_or_failed_its_sessions_are_free_and_its_probes_closed() -> None:
    tree, rate = slow_tree(20)
    world = PoliteWorld(tree, lambda now: LATE if now > 5 else QUICK)
    world.go(bytes_per_second=rate)
    assert [link.session.window for link in world.links] == [None, None]
    assert [probe.closed for probe in world.probes.values()] == [True, True]

    broken = PoliteWorld(tree, lambda _now: QUICK)
    broken.source.root.children.pop("data")
    with pytest.raises(EngineError, match="expected the source folder"):
        broken.go()
    assert [link.session.window for link in broken.links] == [None, None]
    assert [probe.closed for probe in broken.probes.values()] == [True, True]


def test_an_error_of_the_measuring_itself_fails_the_run_and_is_not_lost() -> None:
    tree, rate = slow_tree(20)

    def takes(now: float) -> float:
        if now > 5:
            raise ValueError("a bug")
        return QUICK

    world = PoliteWorld(tree, takes)
    with pytest.raises(ValueError, match="a bug"):
        world.go(bytes_per_second=rate)
    assert [link.session.window for link in world.links] == [None, None]


@pytest.mark.parametrize("late", [0.0, 5.0])
def test_a_violation_of_the_policy_on_a_probes_session_ends_the_run(late: float) -> None:
    tree, rate = slow_tree(20)

    def takes(now: float) -> float:
        if now >= late:
            raise EngineError(PLAINTEXT_REPLY, "unencrypted")
        return QUICK

    world = PoliteWorld(tree, takes)
    with pytest.raises(EngineError, match="unencrypted"):
        world.go(bytes_per_second=rate)
    assert [probe.closed for probe in world.probes.values()] == [True, True]


def test_many_agents_ask_a_server_no_more_often_together() -> None:
    tree, rate = slow_tree(20)
    asked = []
    for agents in (1, 4):
        world = PoliteWorld(tree, lambda _now: QUICK, agents=agents)
        world.go(bytes_per_second=rate)
        asked.append(world.probes["source"].asked / world.scheduler.now)
    assert asked[0] == pytest.approx(1 / INTERVAL, rel=0.2)
    assert asked[1] == pytest.approx(1 / INTERVAL / 4, rel=0.2)


def test_without_the_option_the_work_is_what_it_was_and_no_request_is_added() -> None:
    tree, _ = slow_tree(5)
    world = World(tree)
    commands: list[int] = []

    def note(request: Request) -> None:
        commands.append(request.command)

    world.source.faults.append(note)
    run = world.prepare()
    work = execute(run)
    driver = Driver([])
    assert politely(driver, None, {}, run.tally.counters, work) is work
    drive(world.scheduler, work, *world.links)
    assert run.tally.counters.politeness is None
    assert [link.session.window for link in world.links] == [None, None]
    assert Command.ECHO not in commands
    assert driver.beside == []
