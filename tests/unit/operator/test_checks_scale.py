"""10,000 locations of 100 identities at the default interval, for three simulated hours."""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import pairwise

import pytest
from tests.support.builders import NOW
from tests.unit.operator.checks_fleet import HOUR, SECOND, Fleet, made_in, out_of_step

from smbferry_api.agent_contract import LOCATION_SECONDS

HANGING = "svc-042-042"
NEW = 10
"""Locations that are added in each hour."""
LATE = timedelta(minutes=1)
"""From the moment when a check is due to its verdict."""


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """At first each location was checked at another time. After an hour locations are added, and one hangs."""
    chance = random.Random(19)
    fleet = out_of_step(100, 100, chance)
    fleet.run(NOW + HOUR)
    fleet.hanging.add(HANGING)
    for number in range(2 * NEW):
        fleet.run(NOW + HOUR + number * HOUR / NEW + 7 * SECOND)
        fleet.add_location(f"new-{number}", f"svc-{chance.randrange(100):03}")
    fleet.run(NOW + 3 * HOUR)
    return fleet


@pytest.mark.parametrize("hour", [1, 2])
def test_pods_grow_with_identities_and_not_with_locations(fleet: Fleet, hour: int) -> None:
    assert len(made_in(fleet.jobs, hour)) <= 150


def test_each_location_is_checked_in_its_hour(fleet: Fleet) -> None:
    longest = [
        max(later - earlier for earlier, later in pairwise([*moments, fleet.now]))
        for name, moments in fleet.verdicts.items()
        if name != HANGING
    ]
    assert max(longest) <= HOUR + LATE


def test_a_new_location_has_its_verdict_within_fifteen_seconds(fleet: Fleet) -> None:
    added = {f"new-{number}": NOW + HOUR + number * HOUR / NEW + 7 * SECOND for number in range(2 * NEW)}
    assert max(fleet.verdicts[name][0] - when for name, when in added.items()) <= 15 * SECOND


@pytest.mark.fault(207)
def test_one_that_hangs_delays_no_other_and_is_looked_at_again_and_again(fleet: Fleet) -> None:
    """Every other location that a Job carries has its verdict long before the one that hangs."""
    carrying = [job for job in fleet.jobs if job.load and HANGING in {each.name for each in job.load.locations}]
    with_others = [
        job for job in carrying if job.load and len(job.load.locations) > 1 and job.meta.created > NOW + HOUR
    ]
    assert with_others
    for job in with_others:
        begun = job.meta.created
        for each in job.load.locations if job.load else ():
            verdict = min(moment for moment in fleet.verdicts[each.name] if moment > begun)
            assert (verdict - begun < LOCATION_SECONDS * SECOND) is (each.name != HANGING), each.name
    rechecks = [moment for moment in fleet.verdicts[HANGING] if moment > NOW + 2 * HOUR]
    assert 5 <= len(rechecks) <= 20


@pytest.mark.fault(210)
def test_a_hundred_locations_that_are_created_in_one_second_make_a_few_pods() -> None:
    fleet = Fleet()
    fleet.add_identity("svc", NOW - timedelta(minutes=20))
    for number in range(100):
        fleet.run(NOW + number * SECOND / 100)
        fleet.add_location(f"new-{number}", "svc")
    fleet.run(NOW + timedelta(minutes=1))

    assert len(fleet.jobs) <= 3
    assert max(moments[0] for moments in fleet.verdicts.values()) <= NOW + 16 * SECOND
