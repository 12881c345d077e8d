"""What is gathered from the cache for a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.builders import NOW, condition, identity_body, location_body

from smbferry_api.fields import format_time
from smbferry_operator.model import Key, Kind
from smbferry_operator.observe.cache import Cache
from smbferry_operator.observe.observer import Observer

if TYPE_CHECKING:
    from datetime import datetime


@pytest.mark.parametrize(
    ("reason", "doubted_at"),
    [
        ("KeytabStale", NOW),
        ("SaltMismatch", NOW),
        ("PreauthFailed", NOW),
        ("ServicePrincipalUnknown", None),
        ("TicketIssued", None),
    ],
)
def test_a_location_whose_identitys_key_was_refused_casts_doubt_on_the_identity(
    reason: str, doubted_at: datetime | None
) -> None:
    cache = Cache()
    cache.put(Kind.IDENTITY, identity_body())
    ticket = condition("TicketAcquired", "True" if reason == "TicketIssued" else "False", reason)
    cache.put(Kind.LOCATION, location_body(status={"conditions": [ticket], "lastCheckTime": format_time(NOW)}))
    seen = Observer(cache).identity(Key(Kind.IDENTITY, "team", "svc"))
    assert seen is not None
    assert seen.doubted_at == doubted_at
