"""When a refused key may be tried again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.agent.facts import NOW, SPEC, account, identity, keytab, refused, worked

from smbferry_agent.preflight.findings import conditions
from smbferry_agent.preflight.identity_judge import judge_identity
from smbferry_agent.preflight.lockout import kept_refusal, outdated_key, refusal_of, to_try
from smbferry_api.identity import KdcStatus, KerberosIdentityStatus, KeytabStatus, KeyUse, TicketStatus

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
    refusal = refusal_of(judge_identity(SPEC, REFUSED, NOW), keys.fingerprint, generation, NOW)
    assert refusal is not None
    return after(identity(account(worked(3, 3)), keytab=keys), keys, 3).model_copy(
        update={"key_use": KeyUse(refused=refusal)}
    )


REFUSED = identity(account(refused(3)), keytab=keytab(3))


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


def test_a_key_that_works_or_was_not_tried_leaves_no_word() -> None:
    well = judge_identity(SPEC, identity(account(worked(3, 3)), keytab=keytab(3)), NOW)
    assert refusal_of(well, keytab(3).fingerprint, 1, NOW) is None
    assert refusal_of(judge_identity(SPEC, REFUSED, NOW), None, 1, NOW) is None


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
    ("standing", "keys", "kvno", "outdated"),
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
    standing: KerberosIdentityStatus | None, keys: Keytab, kvno: int | None, outdated: bool
) -> None:
    assert (outdated_key(SPEC, 1, keys, standing, kvno=kvno, now=MINUTE) is not None) is outdated
