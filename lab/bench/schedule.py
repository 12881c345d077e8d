"""In which order what is measured, how long it may take, and what is left of it. Pure but for the clock given to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.bench.cases import Case
    from lab.bench.peers import Peer

# Where nothing is known of a measurement yet.
GUESS_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Step:
    """One measurement to be made; rounds count from 0."""

    case: Case
    peer: Peer
    round: int


def steps_of(case: Case, peers: Sequence[Peer], rounds: int) -> list[Step]:
    """The measurements of a case: every round has every peer once, and each starts with another peer."""
    taking_part = [peer for peer in peers if peer.takes_part(case)]
    steps = []
    for number in range(min(rounds, case.rounds)):
        turn = number % max(1, len(taking_part))
        steps += [Step(case, peer, number) for peer in (*taking_part[turn:], *taking_part[:turn])]
    return steps


class Clock:
    """How long measurements take, preparation and checks included, and how much of the budget is left.

    `known` has seconds per case and peer from an earlier run; those of this run replace them.
    """

    def __init__(self, budget_seconds: float, known: Mapping[tuple[str, str], float]) -> None:
        self._budget = budget_seconds
        self._known = dict(known)
        self._spent = 0.0

    def expected(self, step: Step) -> float:
        """How long a measurement will take, in seconds."""
        return self._known.get((step.case.name, step.peer.name), GUESS_SECONDS)

    def took(self, step: Step, seconds: float) -> None:
        """A measurement has been made."""
        self._known[step.case.name, step.peer.name] = seconds
        self._spent += seconds

    def left(self, steps: Sequence[Step]) -> float:
        """How long the steps that will be made take, in seconds."""
        return sum(self.expected(step) for step in self.affordable(steps))

    def affordable(self, steps: Sequence[Step]) -> list[Step]:
        """Of the steps to come, those that the budget has room for: every first round, then later ones in order."""
        room = self._budget - self._spent - sum(self.expected(step) for step in steps if step.round == 0)
        chosen = []
        for step in steps:
            if step.round > 0:
                room -= self.expected(step)
                if room < 0:
                    continue
            chosen.append(step)
        return chosen
