"""A node whose clock is wrong, by faketime: the offset is measured and named, whatever libkrb5 hides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.interop.agent.support import check_at, default_config

if TYPE_CHECKING:
    from lab.support.domain.domain import Domain
    from tests.interop.agent.support import Identity

pytestmark = pytest.mark.takes(15)


@pytest.mark.fault(11)
@pytest.mark.verdict("Clock ahead or behind")
@pytest.mark.parametrize("setting", ["", "kdc_timesync = 1", "kdc_timesync = 0"])
@pytest.mark.parametrize("minutes", [6, -6, 60])
def test_a_clock_beyond_the_tolerance_is_named_with_its_signed_offset(
    identity: Identity, domain: Domain, minutes: int, setting: str
) -> None:
    identity.config(default_config(domain).replace("[realms]", f"    {setting}\n[realms]"))
    checked = check_at(identity, f"{minutes:+d}m")
    assert checked.reason("TimeInSync") == "ClockSkew"
    assert f"clock is {'ahead of' if minutes > 0 else 'behind'} the KDC's" in checked.message("TimeInSync")
    assert abs(float(checked.status["kdc"]["clockOffset"].split("s")[0]) + minutes * 60) < 2
    assert checked.statuses()["KeytabValid"] == "True"


def test_a_clock_within_the_tolerance_is_fine(identity: Identity) -> None:
    checked = check_at(identity, "+2m")
    assert checked.reason("TimeInSync") == "ClockInSync"
    assert checked.statuses()["TicketAcquired"] == "True"


def test_skew_does_not_make_a_good_keytab_stale(identity: Identity) -> None:
    checked = check_at(identity, "+6m")
    assert checked.reason("KvnoMismatch") == "KvnoMatches"
