"""The domain, and an identity of the test's own in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.interop.agent.support import CountingKdc, Identity
from tests.support.domain import Domain, User

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def domain() -> Domain:
    return Domain.from_environment()


@pytest.fixture
def user(domain: Domain) -> Iterator[User]:
    with domain.user("src-readers", prefix="agent") as added:
        yield added


@pytest.fixture
def identity(domain: Domain, user: User, tmp_path: Path) -> Identity:
    return Identity(tmp_path / "identity", domain, user.principal).keytab(user.keytab())


@pytest.fixture
def counted(domain: Domain, identity: Identity) -> Iterator[CountingKdc]:
    """The domain's KDC behind a counter; on loopback, where only a test may send an agent."""
    identity.address_rule = lambda _address: None
    with CountingKdc(domain).running() as relay:
        yield relay
