from smbferry_operator.model import Kind
from smbferry_operator.watch.echo import OVERDUE_AFTER, Echo, Stream

RUNS, JOBS = Stream(Kind.RUN, ""), Stream(Kind.JOB, "team")
LATE = OVERDUE_AFTER + 1


def test_what_comes_back_is_not_missed() -> None:
    echo = Echo()
    echo.expect(RUNS, 7, 0)
    echo.heard(RUNS, 7)

    assert echo.overdue(LATE) == []


def test_what_was_told_already_is_not_awaited() -> None:
    echo = Echo()
    echo.heard(RUNS, 9)
    echo.expect(RUNS, 7, 0)

    assert echo.overdue(LATE) == []


def test_each_watch_is_judged_by_itself_and_only_after_its_time() -> None:
    echo = Echo()
    echo.expect(RUNS, 7, 0)
    echo.expect(JOBS, 7, 0)
    echo.heard(RUNS, 8)

    assert echo.overdue(OVERDUE_AFTER) == []
    assert echo.overdue(LATE) == [JOBS]


def test_a_watch_that_told_of_the_first_must_still_tell_of_the_last() -> None:
    echo = Echo()
    echo.expect(RUNS, 7, 0)
    echo.expect(RUNS, 9, 50)
    echo.expect(RUNS, 8, 55)
    echo.heard(RUNS, 7)

    assert echo.overdue(LATE) == []
    assert echo.overdue(50 + LATE) == [RUNS]


def test_new_writes_do_not_put_off_what_is_overdue() -> None:
    echo = Echo()
    for second in range(100):
        echo.expect(RUNS, 7 + second, second)

    assert echo.overdue(LATE) == [RUNS]


def test_a_watch_is_dead_only_when_a_look_at_the_cluster_confirms_it() -> None:
    echo = Echo()
    echo.expect(RUNS, 7, 0)
    assert echo.problem() is None

    echo.confirm(RUNS, 7)
    assert echo.problem() == "the watch of TransferRun objects is dead: it missed an existing object"


def test_what_was_deleted_meanwhile_is_not_awaited() -> None:
    echo = Echo()
    echo.heard(JOBS, 5)
    echo.expect(JOBS, 7, 0)
    echo.confirm(JOBS, 5)

    assert echo.overdue(LATE) == []
    assert echo.problem() is None


def test_a_watch_that_comes_back_is_alive() -> None:
    echo = Echo()
    echo.expect(JOBS, 7, 0)
    echo.confirm(JOBS, 7)
    assert echo.problem() == "the watch of Job objects in namespace team is dead: it missed an existing object"

    echo.heard(JOBS, 7)
    assert echo.problem() is None
