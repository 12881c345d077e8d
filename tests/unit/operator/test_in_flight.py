"""What bridges the time between a decision and the moment when the cache shows its effect."""

from datetime import timedelta

from tests.support.builders import NOW

from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.observation import Claim
from smbferry_operator.model import Key, Kind
from smbferry_operator.reconcile.in_flight import InFlight

RUN, IDENTITY, OTHER = Key(Kind.RUN, "team", "one"), Key(Kind.IDENTITY, "team", "svc"), Key(Kind.IDENTITY, "team", "b")
CLAIM = Claim("team/one", "uid-one", Destination("fs", 445, "data"), writing=True, since=NOW)


def test_a_claim_lasts_until_its_decision_was_carried_out_and_not_only_attempted() -> None:
    in_flight = InFlight()
    in_flight.claim(RUN, CLAIM)

    in_flight.attempted(RUN)
    assert in_flight.claims == {RUN: CLAIM}, "the answer may be lost, and the Job made"

    in_flight.carried_out(RUN)
    assert in_flight.claims == {}


def test_a_launched_check_blocks_others_of_the_account_until_its_attempt_has_ended() -> None:
    in_flight = InFlight()
    in_flight.outdate(IDENTITY)
    in_flight.launch_check(IDENTITY)

    assert not in_flight.is_outdated(IDENTITY), "this check tries the new Secret"
    assert in_flight.launching_checks(but=OTHER) == {IDENTITY}
    assert in_flight.launching_checks(but=IDENTITY) == set()

    in_flight.attempted(IDENTITY)
    assert in_flight.launching_checks(but=OTHER) == set()


def test_a_wanted_check_stays_wanted_until_a_decision_could_launch_it() -> None:
    in_flight = InFlight()
    in_flight.want_check(IDENTITY)
    in_flight.carried_out(IDENTITY)
    assert in_flight.is_wanted(IDENTITY)

    in_flight.withdraw(IDENTITY)
    assert not in_flight.is_wanted(IDENTITY)


def test_a_new_turn_as_the_leader_drops_claims_and_wishes_and_keeps_what_has_changed() -> None:
    in_flight = InFlight()
    in_flight.claim(RUN, CLAIM)
    in_flight.want_check(IDENTITY)
    in_flight.outdate(IDENTITY)

    in_flight.reset()
    assert (in_flight.claims, in_flight.is_wanted(IDENTITY)) == ({}, False)
    assert in_flight.is_outdated(IDENTITY), "the change came while nobody checked, and is still untested"


def test_what_does_not_exist_any_more_is_forgotten() -> None:
    in_flight = InFlight()
    in_flight.claim(RUN, CLAIM)
    in_flight.want_check(IDENTITY)
    in_flight.outdate(IDENTITY)

    in_flight.forget(RUN)
    in_flight.forget(IDENTITY)
    assert in_flight.claims == {}
    assert not in_flight.is_wanted(IDENTITY)
    assert not in_flight.is_outdated(IDENTITY)


def test_a_refusal_counts_from_the_first_until_something_is_accepted() -> None:
    in_flight = InFlight()
    later = NOW + timedelta(minutes=1)
    assert in_flight.refused_since(RUN, NOW) == in_flight.refused_since(RUN, later) == NOW

    in_flight.accepted(RUN)
    assert in_flight.refused_since(RUN, later) == later
