import pytest

from smbferry_operator.reconcile.workqueue import LONGEST_DELAY, WorkQueue


def queue() -> WorkQueue[str]:
    return WorkQueue(spread=lambda: 0.5)


def test_a_key_is_in_the_queue_once() -> None:
    work = queue()
    for _ in range(3):
        work.add("a")

    assert (len(work), work.take(0), work.take(0)) == (1, "a", None)


def test_keys_come_in_order() -> None:
    work = queue()
    for key in "bac":
        work.add(key)

    assert [work.take(0), work.take(0), work.take(0)] == ["b", "a", "c"]


def test_what_is_added_during_the_work_is_worked_on_again_and_never_twice_at_once() -> None:
    work = queue()
    work.add("a")
    assert work.take(0) == "a"
    work.add("a")
    work.add("a")

    assert work.take(0) is None
    work.done("a")
    assert (work.take(0), work.under_way) == ("a", 1)
    work.done("a")
    assert work.take(0) is None


def test_what_goes_first_does_not_wait_behind_others_and_leaves_them_turns() -> None:
    work = WorkQueue(goes_first=str.isupper)
    for key in "abcdefABCDEFGHI":
        work.add(key)
    work.add_at("Z", 5)

    assert "".join(work.take(0) or "-" for _ in range(16)) == "ABCDaEFGHbIcdef-"
    assert work.take(5) == "Z"


def test_where_only_what_goes_first_is_asked_for_the_others_wait() -> None:
    work = WorkQueue(goes_first=str.isupper)
    for key in "abA":
        work.add(key)

    assert [work.take(0, only_first=True), work.take(0, only_first=True), work.take(0)] == ["A", None, "a"]


def test_a_key_that_has_come_to_go_first_is_in_the_queue_once() -> None:
    urgent: set[str] = set()
    work = WorkQueue(goes_first=urgent.__contains__)
    for key in "abc":
        work.add(key)
    urgent.add("c")
    work.add("c")
    urgent.clear()
    work.add("c")

    assert [work.take(0) for _ in range(4)] == ["c", "a", "b", None]


def test_a_delayed_key_waits_for_its_time() -> None:
    work = queue()
    work.add_at("a", 10)

    assert (work.take(9.9), work.next_due(), work.delayed) == (None, 10, 1)
    assert work.take(10) == "a"


def test_the_sooner_of_two_delays_counts() -> None:
    work = queue()
    work.add_at("a", 10)
    work.add_at("a", 20)
    work.add_at("b", 20)
    work.add_at("b", 5)

    assert (work.take(6), work.take(6), work.take(10)) == ("b", None, "a")
    work.done("a")
    work.done("b")
    assert (work.take(30), work.next_due()) == (None, None)


def test_an_event_comes_before_a_delay_and_stands_for_it() -> None:
    work = queue()
    work.add_at("a", 10)
    work.add("a")

    assert work.take(0) == "a"
    work.done("a")
    assert work.take(11) is None


def test_failures_are_repeated_ever_more_slowly_and_an_event_does_not_hurry_them() -> None:
    work = queue()
    work.add("a")
    now, delays = 0.0, []
    for _ in range(12):
        assert work.take(now) == "a"
        work.add("a")
        delays.append(work.failed("a", now))
        assert work.take(now + delays[-1] * 0.99) is None
        now += delays[-1]

    assert delays[:4] == [0.5, 1, 2, 4]
    assert delays[-1] == LONGEST_DELAY


def test_success_forgets_failures() -> None:
    work = queue()
    work.add("a")
    for now in (0, 100):
        work.take(now)
        work.failed("a", now)
    work.take(200)
    work.done("a")
    work.add("a")
    work.take(200)

    assert work.failed("a", 200) == 0.5


@pytest.mark.parametrize(("spread", "delay"), [(0.0, 0.375), (1.0, 0.625)])
def test_delays_are_spread(spread: float, delay: float) -> None:
    work: WorkQueue[str] = WorkQueue(spread=lambda: spread)
    work.add("a")
    work.take(0)

    assert work.failed("a", 0) == delay
