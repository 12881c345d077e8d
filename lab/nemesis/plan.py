"""Which fault comes when: the same seed, the same plan. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

SOONEST, LATEST = 3.0, 12.0
"""Seconds from one fault to the next."""
API_SERVER_PAUSE = 240.0
"""Seconds between two ends of the API server: its kubelet starts it again after ever longer pauses."""


class Kind(StrEnum):
    """What is done to whom."""

    AGENT_KILLED = "agent killed"
    AGENT_EVICTED = "agent evicted"
    AGENT_DELETED = "agent's pod deleted"
    JOB_DELETED = "Job deleted"
    OPERATOR_KILLED = "leading operator killed"
    SESSIONS_KILLED = "smbd's sessions killed"
    SERVER_RESTARTED = "smbd killed as a whole and started anew"
    CONNECTIONS_RESET = "connections reset"
    CONNECTIONS_HELD = "connections held"
    API_SERVER_KILLED = "API server killed"
    API_SERVER_PAUSED = "API server paused"
    NODE_DRAINED = "node drained"
    OBJECTS_FORGED = "objects forged in another namespace"
    FOLDER_FILLED = "folder filled up"


@dataclass(frozen=True)
class Fault:
    """One fault: `at` seconds after the beginning, `pick` from 0 to 1 chooses the victim among those there are."""

    at: float
    kind: Kind
    pick: float


def plan(seed: int, seconds: float) -> list[Fault]:
    """The faults of a run of this length, in order. Each kind comes once before any comes twice."""
    chance = random.Random(seed)
    faults: list[Fault] = []
    deck: list[Kind] = []
    at, api_server_at = 0.0, -API_SERVER_PAUSE
    while (at := at + chance.uniform(SOONEST, LATEST)) < seconds:
        if not deck:
            deck = list(Kind)
            chance.shuffle(deck)
        kind, pick = deck.pop(), chance.random()
        if kind is Kind.API_SERVER_KILLED:
            if at - api_server_at < API_SERVER_PAUSE:
                continue
            api_server_at = at
        faults.append(Fault(at, kind, pick))
    return faults
