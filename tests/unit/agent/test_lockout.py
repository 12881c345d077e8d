"""When a refused key may be tried again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.agent.facts import NOW, SPEC, account, identity, keytab, refused, worked

from smbferry_agent.preflight.findings import conditions
from smbferry_agent.preflight.identity_judge import judge_identity
from smbferry_agent.preflight.key_turn import Tried
from smbferry_agent.preflight.lockout import kept_refusal, keys_left, outdated_key, to_try, tried_of
from smbferry_api.identity import AccountUse, KdcStatus, KerberosIdentityStatus, KeytabStatus, KeyUse, TicketStatus

if TYPE_CHECKING:
    from smbferry_agent.kerberos.keytab import Keytab
    from smbferry_agent.preflight.identity_facts import IdentityFacts

OTHER_TIME = keytab(3).entries()[0].model_copy(update={"timestamp": NOW})


def status(code: int = 24, generation: int = 1, **changed: Any) -> KerberosIdentityStatus:
    findings = judge_identity(SPEC, identity(account(refused(code=code))), NOW)
    values = {
        "conditions": conditions(findings, (), generation=generation, now=NOW),
        "keytab": KeytabStatus(entries=keytab(3).entries()),
        "last_key_use_time": NOW,
        **changed,
    }
    stored = KerberosIdentityStatus(**values).model_dump_json(by_alias=True)
    return KerberosIdentityStatus.model_validate_json(stored)


MINUTE = NOW + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("previous", "keys", "now", "kept"),
    [
        pytest.param(status(), keytab(3), MINUTE, True, id="nothing changed"),
        pytest.param(None, keytab(3), MINUTE, False, id="no status yet"),
        pytest.param(status(), keytab(4), MINUTE, False, id="a new version"),
        pytest.param(status(), keytab(3, 4), MINUTE, False, id="one more version"),
        pytest.param(status(generation=0), keytab(3), MINUTE, False, id="the spec changed"),
        pytest.param(status(), keytab(3), NOW + timedelta(hours=1), False, id="the interval is over"),
        pytest.param(status(code=18), keytab(3), MINUTE, False, id="the account was disabled, no key was refused"),
        pytest.param(status(code=6), keytab(3), MINUTE, False, id="the account was unknown"),
        pytest.param(status(last_key_use_time=None), keytab(3), MINUTE, False, id="no key was tried"),
        pytest.param(
            status(keytab=KeytabStatus(entries=(OTHER_TIME,))),
            keytab(3),
            MINUTE,
            False,
            id="the same version, made anew",
        ),
    ],
)
def test_a_refused_key_is_tried_again_only_when_something_changed(
    previous: KerberosIdentityStatus | None, keys: Keytab, now: datetime, kept: bool
) -> None:
    assert (kept_refusal(SPEC, 1, keys, previous, now) is not None) is kept


def test_the_note_is_not_added_twice_and_the_remedy_stays_at_the_end() -> None:
    first = kept_refusal(SPEC, 1, keytab(3), status(), MINUTE)
    assert first is not None
    assert first.message.count("not tried again before 2026-11-21T13:00:00Z") == 1
    findings = judge_identity(SPEC, identity(account(), kept=first), NOW)
    again = status(conditions=conditions(findings, (), generation=1, now=MINUTE))
    second = kept_refusal(SPEC, 1, keytab(3), again, MINUTE)
    assert second == first


def after(facts: IdentityFacts, keys: Keytab, kvno: int | None, *, ticket: bool = True) -> KerberosIdentityStatus:
    return KerberosIdentityStatus(
        conditions=conditions(judge_identity(SPEC, facts, NOW), (), generation=1, now=NOW),
        keytab=KeytabStatus(entries=keys.entries()),
        kdc=KdcStatus(kvno=kvno),
        ticket=TicketStatus() if ticket else None,
    )


def told(keys: Keytab, *, generation: int = 1) -> KerberosIdentityStatus:
    """An identity that is well, but for what another agent was just refused."""
    facts = identity(account(refused(3)), keytab=keys)
    tried = tried_of(facts, judge_identity(SPEC, facts, NOW), generation, NOW)
    assert tried is not None
    return after(identity(account(worked(3, 3)), keytab=keys), keys, 3).model_copy(
        update={"key_use": tried.after(None)}
    )


@pytest.mark.parametrize(
    ("keys", "generation", "now", "kept"),
    [
        pytest.param(keytab(3), 1, MINUTE, True, id="the same keytab"),
        pytest.param(keytab(4, 3), 1, MINUTE, False, id="another keytab"),
        pytest.param(keytab(3), 2, MINUTE, False, id="another spec"),
        pytest.param(keytab(3), 1, NOW + timedelta(hours=1), False, id="another interval"),
    ],
)
def test_a_key_that_another_agent_was_refused_is_not_tried_before_any_check_has_said_so(
    keys: Keytab, generation: int, now: datetime, *, kept: bool
) -> None:
    found = kept_refusal(SPEC, generation, keys, told(keytab(3)), now)
    assert (found is not None) is kept
    assert found is None or (found.reason == "KeytabStale" and "The KDC refused key version 3" in found.message)


def tried(facts: IdentityFacts) -> Tried | None:
    return tried_of(facts, judge_identity(SPEC, facts, NOW), 1, NOW)


def test_a_key_that_works_ends_the_count_of_wrong_ones() -> None:
    worked_now = tried(identity(account(refused(4), worked(3, 3)), keytab=keytab(4, 3)))
    assert worked_now == Tried()
    assert worked_now.after(KeyUse(wrong=(NOW,))) == KeyUse()


def test_wrong_keys_are_counted_with_those_before() -> None:
    refused_now = tried(identity(account(refused(4), refused(3)), keytab=keytab(4, 3)))
    assert refused_now is not None
    assert (refused_now.wrong, refused_now.refused and refused_now.refused.key_version) == (2, 4)
    before = NOW - timedelta(minutes=5)
    assert refused_now.after(KeyUse(wrong=(before,))).wrong == (before, NOW, NOW)
    assert len(refused_now.after(KeyUse(wrong=(before,) * 8)).wrong) == 8


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(identity(account(), keytab=keytab(3)), id="no key was tried"),
        pytest.param(identity(account(refused(code=18)), keytab=keytab(3)), id="the account was disabled meanwhile"),
        pytest.param(identity(account(refused(code=None, detail="no answer"))), id="the KDC went away"),
    ],
)
def test_where_the_kdc_judged_no_key_earlier_word_stands(facts: IdentityFacts) -> None:
    assert tried(facts) is None


MOMENTS_AGO, EARLIER, LONG_AGO = (NOW - timedelta(minutes=ago) for ago in (1, 5, 120))


def knows(own: tuple[datetime, ...] = (), **others: Any) -> KerberosIdentityStatus:
    """An identity whose Secret has just been filled: none of its keys was tried."""
    return KerberosIdentityStatus(key_use=KeyUse(wrong=own), account=AccountUse(**others) if others else None)


@pytest.mark.parametrize(
    ("previous", "left", "rests"),
    [
        pytest.param(None, 2, False, id="nothing is known"),
        pytest.param(knows(), 2, False, id="nothing was wrong"),
        pytest.param(knows((EARLIER,)), 1, False, id="its last keytab cost one"),
        pytest.param(knows((EARLIER, EARLIER)), 0, True, id="its last keytabs cost two"),
        pytest.param(knows((LONG_AGO, EARLIER)), 1, False, id="one of them in an earlier interval"),
        pytest.param(knows(wrong=(EARLIER,)), 1, False, id="another identity's cost one"),
        pytest.param(knows((EARLIER,), wrong=(EARLIER,)), 0, True, id="one each"),
        pytest.param(knows(worked_time=EARLIER), 1, False, id="one is kept for another identity, whose key works"),
        pytest.param(knows(wrong=(MOMENTS_AGO,), worked_time=EARLIER), 0, True, id="and that one alone is left"),
        pytest.param(knows((EARLIER,), worked_time=MOMENTS_AGO), 1, False, id="the KDC counts since a key worked"),
        pytest.param(knows(wrong=(EARLIER, EARLIER)), 0, True, id="other identities have spent both"),
        pytest.param(knows(stale_key_version=4), 2, True, id="this version served another one and is refused now"),
        pytest.param(knows(stale_key_version=5), 2, True, id="a newer one served another"),
        pytest.param(knows(stale_key_version=3), 2, False, id="an older one did"),
    ],
)
def test_an_account_bears_two_wrong_keys_whosever_they_are(
    previous: KerberosIdentityStatus | None, left: int, *, rests: bool
) -> None:
    keys = keytab(4, 3)
    assert keys_left(SPEC, keys, previous, NOW) == left
    kept = kept_refusal(SPEC, 1, keys, previous, NOW)
    assert (kept is not None) is rests
    assert kept is None or kept.reason in {"PreauthFailed", "KeytabStale"}


def test_identities_that_share_an_account_do_not_stop_one_whose_key_works() -> None:
    busy = WORKED.model_copy(update={"account": AccountUse(wrong=(EARLIER, EARLIER))})
    assert kept_refusal(SPEC, 1, BOTH, busy, NOW) is None
    assert keys_left(SPEC, BOTH, busy, NOW) > 0


BOTH = keytab(4, 3)
WORKED = after(identity(account(worked(4, 4)), keytab=BOTH), BOTH, 4)
AHEAD = after(identity(account(refused(4), worked(3)), keytab=BOTH), BOTH, 3)
STALE = after(identity(account(refused(4)), keytab=BOTH), BOTH, None, ticket=False)


@pytest.mark.parametrize(
    ("previous", "keys", "versions"),
    [
        pytest.param(None, BOTH, (4, 3), id="nothing is known"),
        pytest.param(WORKED, BOTH, (4,), id="the newest worked: an older one can't have become right"),
        pytest.param(AHEAD, BOTH, (3, 4), id="an older one worked: it costs no wrong key while it does"),
        pytest.param(STALE, BOTH, (4,), id="it had worked, and was refused then"),
        pytest.param(WORKED, keytab(5, 4), (5, 4), id="another keytab"),
    ],
)
def test_what_is_known_of_a_keytab_saves_wrong_keys(
    previous: KerberosIdentityStatus | None, keys: Keytab, versions: tuple[int, ...]
) -> None:
    assert to_try(keys.versions(SPEC.principal, (18,)), keys, previous) == versions


@pytest.mark.parametrize(
    ("current", "keys", "kvno", "outdated"),
    [
        pytest.param(None, keytab(3), 3, False, id="nothing is known"),
        pytest.param(WORKED, BOTH, 4, False, id="still the KDC's version"),
        pytest.param(WORKED, keytab(3), 3, True, id="a check with the new keytab tells of a newer version"),
        pytest.param(WORKED, BOTH, None, False, id="the KDC did not tell its version"),
        pytest.param(status(), keytab(3), 3, True, id="a check was refused with the same keytab"),
        pytest.param(AHEAD, BOTH, 3, False, id="an older key of the keytab serves"),
    ],
)
def test_a_run_does_not_renew_by_a_key_that_is_known_to_be_outdated(
    current: KerberosIdentityStatus | None, keys: Keytab, kvno: int | None, outdated: bool
) -> None:
    assert (outdated_key(SPEC, 1, keys, current, kvno=kvno, now=MINUTE) is not None) is outdated
