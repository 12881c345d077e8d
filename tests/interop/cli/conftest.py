"""The domain, two accounts in it for the whole session, and a scene of manifests and folders for each test."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from lab.support.domain.domain import Domain
from tests.interop.cli.support import Account, Scene

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def domain() -> Domain:
    return Domain.from_environment()


@pytest.fixture(scope="session")
def accounts(domain: Domain) -> Iterator[dict[str, Account]]:
    """Made once: each samba-tool takes a second. The password is changed once, so that a real stale keytab is there."""
    with ExitStack() as stack:
        found = {}
        for name, groups in (("reader", ("src-readers",)), ("writer", ("dst-writers", "Backup Operators"))):
            user = stack.enter_context(domain.user(*groups, prefix="cli"))
            stale = user.keytab()
            domain.set_password(user.name)
            found[name] = Account(user.principal, domain.kvno(user.name), user.keytab(), stale)
        yield found


@pytest.fixture
def scene(domain: Domain, accounts: dict[str, Account], tmp_path: Path) -> Iterator[Scene]:
    with domain.directory("src") as source, domain.directory("dst") as destination:
        yield Scene(tmp_path, domain, accounts["reader"], accounts["writer"], source, destination)
