"""What this operator has begun and no object shows yet.

Everything else is read from objects. An entry here lasts from a decision until the cache shows its effect, so that a
decision made in between sees it, too. A restart loses all entries, and nothing that they protect: the next operator
lists everything before it acts, and every decision may be made twice (ADR 2).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from smbferry_operator.decide.limits import Demand
from smbferry_operator.decide.observation import Claim
from smbferry_operator.model import Key, Refusal


class InFlight:
    """Claims of runs that are being launched, checks that are awaited or being launched, and refusals that last."""

    def __init__(self) -> None:
        self._claims: dict[Key, Claim] = {}
        self._starting: dict[Key, Demand] = {}
        self._wanted_checks: set[Key] = set()
        self._outdated: set[Key] = set()
        self._launching_checks: set[Key] = set()
        self._refused_since: dict[Key, datetime] = {}
        self._refusals: dict[Key, Refusal] = {}

    def reset(self) -> None:
        """Drops what the last turn as the leader left. Called before this operator acts, on a fresh cache."""
        self._claims.clear()
        self._starting.clear()
        self._wanted_checks.clear()

    # --- Runs

    @property
    def claims(self) -> Mapping[Key, Claim]:
        """Destinations of the runs whose Jobs are being created, by run."""
        return self._claims

    def claim(self, run: Key, claim: Claim) -> None:
        """The run's Job is about to be created: other runs wait as if it existed."""
        self._claims[run] = claim

    @property
    def starting(self) -> Mapping[Key, Demand]:
        """What the runs count for whose Jobs are being created, by run."""
        return self._starting

    def start(self, run: Key, demand: Demand) -> None:
        """The run's Job is about to be created: it counts at all limits as if its agents worked."""
        self._starting[run] = demand

    def not_started(self, run: Key) -> None:
        """The API server creates nothing for the run any more."""
        self._starting.pop(run, None)

    # --- Checks of identities

    def want_check(self, identity: Key) -> None:
        """A run waits for a check of this identity; it asks again as long as it waits."""
        self._wanted_checks.add(identity)

    def is_wanted(self, identity: Key) -> bool:
        """Whether something waits for a check of this identity."""
        return identity in self._wanted_checks

    def withdraw(self, identity: Key) -> None:
        """A decision about the identity took the wish into account."""
        self._wanted_checks.discard(identity)

    def outdate(self, identity: Key) -> None:
        """The identity's Secret or ConfigMap has changed since its last check."""
        self._outdated.add(identity)

    def is_outdated(self, identity: Key) -> bool:
        """Whether its Secret or ConfigMap has changed since its last check."""
        return identity in self._outdated

    def launch_check(self, identity: Key) -> None:
        """The identity's check is about to be created: others of its account wait as if it existed."""
        self._outdated.discard(identity)
        self._launching_checks.add(identity)

    def launching_checks(self, *, but: Key) -> frozenset[Key]:
        """Identities whose checks are being created, except this one."""
        return frozenset(self._launching_checks - {but})

    # --- Ends

    def forget(self, key: Key) -> None:
        """The object does not exist any more."""
        self._claims.pop(key, None)
        self._starting.pop(key, None)
        self._wanted_checks.discard(key)
        self._outdated.discard(key)
        self._refusals.pop(key, None)

    def attempted(self, key: Key) -> None:
        """A decision about the object was carried out, or failed: its check is in the cache, or decided again."""
        self._launching_checks.discard(key)

    def carried_out(self, key: Key) -> None:
        """A decision about the object was carried out: the cache shows its Job. One that failed keeps its claim."""
        self._claims.pop(key, None)
        self._starting.pop(key, None)

    # --- Refusals

    def refused_since(self, key: Key, now: datetime) -> datetime:
        """Notes that the API server has refused what the object needs; returns since when it does so."""
        return self._refused_since.setdefault(key, now)

    def refuse(self, location: Key, refusal: Refusal, now: datetime) -> None:
        """The API server refused the Job that was to carry this location."""
        before = self._refusals.get(location)
        self._refusals[location] = replace(refusal, since=before.since if before else now, last=now)

    def carried(self, location: Key) -> None:
        """The API server accepted the Job that carries this location."""
        self._refusals.pop(location, None)

    def refusal_of(self, location: Key) -> Refusal | None:
        """Why the location's last Job was not created, None if it was."""
        return self._refusals.get(location)

    def accepted(self, key: Key) -> None:
        """The API server accepted all that the object needs."""
        self._refused_since.pop(key, None)
