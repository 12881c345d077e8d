"""The domain, and an identity of the test's own in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.support.domain.domain import Domain, User
from lab.support.domain.mit import MitRealms, mit_realms
from lab.support.domain.trees import Wanted
from lab.support.stubs.counting_kdc import CountingKdc
from tests.interop.agent.scene import Scene
from tests.interop.agent.support import Identity

from smbferry_api.agent_contract import Side

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


@pytest.fixture(scope="session")
def mit() -> Iterator[MitRealms]:
    with mit_realms() as realms:
        yield realms


@pytest.fixture
def mit_user(mit: MitRealms) -> Iterator[User]:
    with mit.user("unix", prefix="agent") as added:
        yield added


@pytest.fixture
def mit_identity(mit: MitRealms, mit_user: User, tmp_path: Path) -> Identity:
    return Identity(tmp_path / "identity", mit, mit_user.principal).keytab(mit_user.keytab())


@pytest.fixture
def scene(domain: Domain, user: User, tmp_path: Path) -> Iterator[Scene]:
    with (
        domain.user("dst-writers", "Backup Operators", prefix="agent") as writer,
        domain.directory("src") as source,
        domain.directory("dst") as destination,
    ):
        identities = {
            Side.SOURCE: Identity(tmp_path / "source", domain, user.principal).keytab(user.keytab()),
            Side.DESTINATION: Identity(tmp_path / "destination", domain, writer.principal).keytab(writer.keytab()),
        }
        source.seed([Wanted("a.txt", text="hello"), Wanted("empty", size=0), Wanted("deep/er/ü.bin", size=3_000_000)])
        yield Scene(source, destination, identities, tmp_path)
