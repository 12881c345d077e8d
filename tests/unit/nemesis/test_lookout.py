"""A lookout tells each violation once, and an error of a look is not lost."""

from __future__ import annotations

import threading

import pytest
from lab.nemesis.lookout import Lookout
from lab.nemesis.record import Record

LOOKS = 3


class Looking(Lookout):
    """Finds the same each time; after some looks it has looked `often`, and fails if it is to."""

    def __init__(self, record: Record, *, fails: bool = False) -> None:
        super().__init__("I9", 0.0, record)
        self.often = threading.Event()
        self._fails = fails

    def _look(self) -> list[str]:
        if self.looks == LOOKS:
            self.often.set()
            if self._fails:
                raise ConnectionError("the server is away")
        return ["let in"]


def test_what_is_seen_again_and_again_is_told_once() -> None:
    record = Record()
    with Looking(record) as lookout:
        assert lookout.often.wait(30)
    assert lookout.looks >= LOOKS
    assert record.violations == ["I9: let in"]


def test_an_error_of_a_look_is_raised_when_it_is_left() -> None:
    with pytest.raises(ConnectionError, match="away"), Looking(Record(), fails=True) as lookout:
        assert lookout.often.wait(30)
