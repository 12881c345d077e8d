"""DFS paths on a real namespace: referrals, the target's own name and ticket, and links that are not followed."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

import pytest
from lab.support.domain.trees import Wanted, differences

from smbferry_engine import DfsTarget, EngineError, Outcome, probe_share, resolve_dfs
from smbferry_engine.session.connect import connect
from smbferry_engine.session.dfs import get_referrals
from smbferry_engine.session.driver import Driver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.domain.domain import Domain
    from tests.interop.engine.support import Bench
    from tests.interop.engine.tickets import Tickets

    from smbferry_engine import Endpoint

ROOT = "/srv/dfs"


@pytest.fixture
def namespace(domain: Domain) -> Iterator[Namespace]:
    made = Namespace(domain, f"t-{secrets.token_hex(4)}")
    domain.run("mkdir", "--mode=0777", f"{ROOT}/{made.name}")
    try:
        yield made
    finally:
        domain.run("rm", "-rf", "--", f"{ROOT}/{made.name}")


class Namespace:
    """A folder of the namespace of the test's own, with links in it."""

    def __init__(self, domain: Domain, name: str) -> None:
        self.domain = domain
        self.name = name
        self.located: list[str] = []

    def link(self, name: str, *targets: str) -> str:
        r"""A link to ``server\share\path``, several of them in their order; returns its path in the namespace."""
        self.domain.run("ln", "-s", "msdfs:" + ",".join(targets), f"{ROOT}/{self.name}/{name}")
        return f"/{self.name}/{name}"

    def locate(self, server: str) -> tuple[str, ...]:
        """The one host that has all names of the lab."""
        self.located.append(server)
        return (self.domain.address,)

    def resolve(self, endpoint: Endpoint) -> Endpoint:
        return resolve_dfs(endpoint, self.locate)


@contextlib.contextmanager
def another_name(domain: Domain) -> Iterator[str]:
    """A second name of the file server, with a service principal of its own."""
    name = f"dfs-{secrets.token_hex(4)}.{domain.realm.lower()}"
    account = f"{domain.server.split('.')[0].upper()}$"
    domain.samba_tool("spn", "add", f"cifs/{name}", account)
    try:
        yield name
    finally:
        domain.samba_tool("spn", "delete", f"cifs/{name}", account)


def test_a_tree_is_copied_to_the_share_behind_a_link(bench: Bench, namespace: Namespace, tickets: Tickets) -> None:
    bench.source.seed([Wanted("folder/file", size=100), Wanted("large", size=3 << 20)])
    path = namespace.link("team", rf"{tickets.domain.server}\dst")
    named = tickets.endpoint("dfs", f"{path}{bench.destination.path}", user=tickets.writer)
    found = namespace.resolve(named)
    assert (found.server, found.share, found.path) == (named.server, "dst", bench.destination.path)
    result = bench.copy(ends=(bench.ends()[0], found))
    assert result.outcome is Outcome.SUCCEEDED
    assert differences(bench.source.tree(), bench.destination.tree()) == []


def test_a_target_on_another_server_has_its_own_name_and_ticket(
    bench: Bench, namespace: Namespace, tickets: Tickets, domain: Domain
) -> None:
    with another_name(domain) as server:
        path = namespace.link("far", rf"{server}\dst")
        named = tickets.endpoint("dfs", f"{path}{bench.destination.path}", user=tickets.writer)
        facts = probe_share(named, deadline_seconds=20, locate=namespace.locate)
        assert facts.dfs_target == DfsTarget(server, 445, "dst", bench.destination.path)
        assert facts.evidence.server == server
        assert facts.evidence.share_encryption_required
        found = namespace.resolve(named)
        assert found.service_principal == f"cifs/{server}"
        assert set(namespace.located) == {server}
        bench.source.seed([Wanted("file", size=100)])
        assert bench.copy(ends=(bench.ends()[0], found)).outcome is Outcome.SUCCEEDED
        assert bench.watcher.evidence["destination"].server == server
    assert differences(bench.source.tree(), bench.destination.tree()) == []


def test_a_target_whose_name_the_kdc_does_not_know_is_refused_and_ntlm_never_tried(
    namespace: Namespace, tickets: Tickets
) -> None:
    path = namespace.link("unknown", rf"nobody.{tickets.domain.realm.lower()}\dst")
    with pytest.raises(EngineError) as caught:
        namespace.resolve(tickets.endpoint("dfs", path, user=tickets.writer))
    assert caught.value.reason == "ServicePrincipalUnknown"


def test_a_link_may_lead_to_a_link(namespace: Namespace, tickets: Tickets, bench: Bench) -> None:
    server = tickets.domain.server
    second = namespace.link("second", rf"{server}\dst")
    first = namespace.link("first", rf"{server}\dfs".replace("/", "\\") + second.replace("/", "\\"))
    found = namespace.resolve(tickets.endpoint("dfs", f"{first}{bench.destination.path}", user=tickets.writer))
    assert (found.share, found.path) == ("dst", bench.destination.path)


def test_circles_end_with_a_reason(namespace: Namespace, tickets: Tickets) -> None:
    server = tickets.domain.server
    one = namespace.link("one", rf"{server}\dfs\{namespace.name}\two")
    namespace.link("two", rf"{server}\dfs\{namespace.name}\one")
    with pytest.raises(EngineError, match="the referrals go on") as caught:
        namespace.resolve(tickets.endpoint("dfs", one, user=tickets.writer))
    assert caught.value.reason == "DfsTargetUnusable"


@pytest.mark.verdict("DFS link to an unusable target")
@pytest.mark.parametrize(
    ("target", "reason"), [(r"10.9.8.7\dst", "DfsTargetUnusable"), (r"{server}\nothing-here", "ShareNotFound")]
)
def test_what_a_link_may_not_lead_to(namespace: Namespace, tickets: Tickets, target: str, reason: str) -> None:
    path = namespace.link("bad", target.format(server=tickets.domain.server))
    with pytest.raises(EngineError) as caught:
        namespace.resolve(tickets.endpoint("dfs", path, user=tickets.writer))
    assert caught.value.reason == reason


def test_a_target_that_can_not_be_reached_gives_way_to_the_next(
    namespace: Namespace, tickets: Tickets, bench: Bench
) -> None:
    server = tickets.domain.server
    path = namespace.link("two", rf"gone.{tickets.domain.realm.lower()}\dst", rf"{server}\dst")

    def locate(name: str) -> tuple[str, ...]:
        # Nothing listens on this address of the loopback network.
        return ("127.0.0.2",) if name.startswith("gone") else (tickets.domain.address,)

    named = tickets.endpoint("dfs", f"{path}{bench.destination.path}", user=tickets.writer)
    assert resolve_dfs(named, locate).server == server


def test_shares_and_folders_that_are_no_links_stay_what_they_are(
    namespace: Namespace, tickets: Tickets, bench: Bench
) -> None:
    for named in (
        tickets.endpoint("dst", bench.destination.path),
        tickets.endpoint("dfs", "/", user=tickets.reader),
        tickets.endpoint("dfs", f"/{namespace.name}", user=tickets.reader),
        tickets.endpoint("dst", "/no-such-folder"),
    ):
        assert namespace.resolve(named) is named
    assert probe_share(bench.ends()[1], deadline_seconds=20, locate=namespace.locate).dfs_target is None


def test_links_below_the_folder_that_is_transferred_are_not_followed(
    namespace: Namespace, tickets: Tickets, bench: Bench, domain: Domain
) -> None:
    namespace.link("away", rf"{domain.server}\src")
    domain.run("sh", "-c", f"echo here > {ROOT}/{namespace.name}/file")
    source = tickets.endpoint("dfs", f"/{namespace.name}", user=tickets.reader)
    result = bench.copy(ends=(source, bench.ends()[1]), expected=None)
    assert bench.watcher.failures == []
    assert result.counters.files.transferred == 1
    assert list(bench.destination.tree()) == ["file"]


def test_a_domains_own_name_is_known_to_its_controllers(tickets: Tickets, domain: Domain) -> None:
    side = connect(tickets.endpoint("IPC$", "/", user=tickets.reader))
    try:
        found = Driver([side.channel]).run(get_referrals(side.channel.session, rf"\{domain.realm.lower()}\sysvol"))
    finally:
        side.channel.close()
    assert found is not None
    assert domain.server.split(".")[0] in found.targets[0].target.lower()
