"""What identities of one account are told of each other, so that together they don't lock it."""

from datetime import datetime
from typing import Any

import pytest
from tests.support.builders import NOW, ago, checked_identity, checks, identity, key_use

from smbferry_api.fields import format_time
from smbferry_api.identity import AccountUse
from smbferry_operator.decide.account import account_of, account_use
from smbferry_operator.model import Identity


def well(worked: datetime | None = None, **status: Any) -> Identity:
    """An identity whose key worked then."""
    return checked_identity(status={"lastKeyUseTime": format_time(worked or ago(minutes=10)), **status})


def refused(at: datetime, **word: Any) -> Identity:
    """An identity that was refused one key."""
    conditions = checks({"TicketAcquired": "False"})
    return identity(status={"conditions": conditions, "keyUse": key_use(at, **word)})


WORKED = ago(minutes=10)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param((), None, id="it is alone"),
        pytest.param((identity(),), None, id="another that was never checked"),
        pytest.param((well(),), AccountUse(worked_time=WORKED), id="another works"),
        pytest.param(
            (well(ago(minutes=20)), well(ago(minutes=3))), AccountUse(worked_time=ago(minutes=3)), id="two others work"
        ),
        pytest.param(
            (refused(ago(minutes=5), reason="PreauthFailed"),),
            AccountUse(wrong=(ago(minutes=5),)),
            id="another was never right",
        ),
        pytest.param(
            (refused(ago(minutes=5), key_version=4),),
            AccountUse(wrong=(ago(minutes=5),), stale_key_version=4),
            id="another's password was changed",
        ),
        pytest.param(
            (refused(ago(minutes=5), key_version=4), refused(ago(minutes=6), key_version=5)),
            AccountUse(wrong=(ago(minutes=6), ago(minutes=5)), stale_key_version=5),
            id="of two",
        ),
        pytest.param(
            (refused(ago(minutes=11)),),
            AccountUse(wrong=(ago(minutes=11),)),
            id="its own key has worked since then, so it is not the one that is stale",
        ),
        pytest.param((refused(ago(hours=1)),), None, id="an interval ago"),
    ],
)
def test_what_an_identity_is_told(others: tuple[Identity, ...], expected: AccountUse | None) -> None:
    assert account_use(well(WORKED), others, NOW) == expected


def test_domains_tell_accounts_apart_without_regard_to_case() -> None:
    assert account_of("SVC-Src@CORP.EXAMPLE.COM") == account_of("svc-src@corp.example.com")
