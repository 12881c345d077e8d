"""DFS referrals: where a path leads, and what of a referral is not followed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.fake_server.world import end

from smbferry_engine.errors import EngineError
from smbferry_engine.model import Endpoint
from smbferry_engine.session.dfs import MAX_SERVERS, follow, path_of, rest_of, target_of
from smbferry_engine.wire.dfs import Referral, Referrals
from smbferry_words.reasons import ACCESS_DENIED, SERVER_UNREACHABLE

NAMESPACE = end(
    "dfs", server="ns.corp.example.com", path="/team/projects", service_principal="cifs/ns.corp.example.com"
)
TARGET = r"\fs1.corp.example.com\data"


def locate(server: str) -> tuple[str, ...]:
    return (f"address of {server}",)


class Namespace:
    """Answers by path: the targets of the longest link that the path begins with, or the error to raise."""

    def __init__(self, links: dict[str, object]) -> None:
        self.links = links
        self.asked: list[str] = []

    def __call__(self, _endpoint: Endpoint, path: str) -> Referrals | None:
        self.asked.append(path)
        for link in sorted(self.links, key=len, reverse=True):
            if path.lower().startswith(link.lower()):
                answer = self.links[link]
                if isinstance(answer, EngineError):
                    raise answer
                assert isinstance(answer, tuple)
                return Referrals(len(link), tuple(Referral(target, root=False, ttl=300) for target in answer))
        return None


def namespace(links: dict[str, object]) -> Namespace:
    return Namespace(links)


def test_a_path_that_is_the_servers_own_stays_as_it_is() -> None:
    assert follow(NAMESPACE, locate, namespace({})) is NAMESPACE


def test_a_link_leads_to_its_target_with_a_name_and_a_ticket_of_its_own() -> None:
    ask = namespace({r"\ns.corp.example.com\dfs\team": (TARGET,)})
    found = follow(NAMESPACE, locate, ask)
    assert found == replace(
        NAMESPACE,
        server="fs1.corp.example.com",
        share="data",
        path="/projects",
        addresses=("address of fs1.corp.example.com",),
        service_principal="cifs/fs1.corp.example.com",
    )
    assert (found.principal, found.ciphers, found.dialects) == (
        NAMESPACE.principal,
        NAMESPACE.ciphers,
        NAMESPACE.dialects,
    )
    assert ask.asked == [r"\ns.corp.example.com\dfs\team\projects", TARGET + r"\projects"]


def test_a_domains_root_leads_to_a_namespace_server_and_that_to_the_link() -> None:
    domain = replace(NAMESPACE, server="corp.example.com")
    ask = namespace(
        {
            r"\corp.example.com\dfs": (r"\ns.corp.example.com\dfs",),
            r"\ns.corp.example.com\dfs\team": (TARGET + r"\sub",),
        }
    )
    found = follow(domain, locate, ask)
    assert (found.server, found.share, found.path) == ("fs1.corp.example.com", "data", "/sub/projects")


def test_a_link_to_another_share_of_the_same_server_keeps_its_port_and_address() -> None:
    here = replace(NAMESPACE, port=1445)
    found = follow(here, locate, namespace({r"\ns.corp.example.com\dfs\team": (r"\NS.corp.example.com\dst",)}))
    assert found == replace(here, share="dst", path="/projects")


def test_another_server_is_reached_on_the_port_that_smb_has() -> None:
    found = follow(replace(NAMESPACE, port=1445), locate, namespace({r"\ns.corp.example.com\dfs\team": (TARGET,)}))
    assert found.port == 445


def test_a_referral_to_the_very_same_place_is_the_end() -> None:
    ask = namespace({r"\ns.corp.example.com\dfs": (r"\ns.corp.example.com\dfs",)})
    assert follow(NAMESPACE, locate, ask) is NAMESPACE


def test_targets_are_tried_in_their_order_while_they_can_not_be_reached() -> None:
    gone = EngineError(SERVER_UNREACHABLE, "no answer")
    second = r"\fs2.corp.example.com\data"
    ask = namespace({r"\ns.corp.example.com\dfs\team": (TARGET, second), TARGET: gone})
    assert follow(NAMESPACE, locate, ask).server == "fs2.corp.example.com"


def test_a_target_that_dns_does_not_know_gives_way_to_the_next() -> None:
    def partly(server: str) -> tuple[str, ...]:
        if server.startswith("fs1"):
            raise EngineError(SERVER_UNREACHABLE, "no address")
        return locate(server)

    ask = namespace({r"\ns.corp.example.com\dfs\team": (TARGET, r"\fs2.corp.example.com\data")})
    assert follow(NAMESPACE, partly, ask).server == "fs2.corp.example.com"


def test_a_target_that_refuses_is_not_passed_over() -> None:
    refused = EngineError(ACCESS_DENIED, "no")
    ask = namespace({r"\ns.corp.example.com\dfs\team": (TARGET, r"\fs2.corp.example.com\data"), TARGET: refused})
    with pytest.raises(EngineError) as caught:
        follow(NAMESPACE, locate, ask)
    assert caught.value is refused


def test_when_no_target_can_be_reached_the_first_failure_is_told() -> None:
    failures = [EngineError(SERVER_UNREACHABLE, "first"), EngineError(SERVER_UNREACHABLE, "second")]
    second = r"\fs2.corp.example.com\data"
    ask = namespace(
        {r"\ns.corp.example.com\dfs\team": (TARGET, second), TARGET: failures[0], second: failures[1]},
    )
    with pytest.raises(EngineError) as caught:
        follow(NAMESPACE, locate, ask)
    assert caught.value is failures[0]


def test_circles_end() -> None:
    ask = namespace({TARGET: (r"\fs2.corp.example.com\x",), r"\fs2.corp.example.com\x": (TARGET,)})
    ask.links[r"\ns.corp.example.com\dfs"] = (TARGET,)
    with pytest.raises(EngineError, match=f"within {MAX_SERVERS} servers") as caught:
        follow(NAMESPACE, locate, ask)
    assert caught.value.reason == "DfsTargetUnusable"
    assert len(ask.asked) == MAX_SERVERS


@pytest.mark.parametrize(
    ("referral", "says"),
    [
        ("", "a server and a share"),
        (r"\fs1", "a server and a share"),
        (r"\10.0.0.7\data", "address 10.0.0.7"),
        (r"\10.0.0.7.\data", "address 10.0.0.7"),
        (r"\fe80::1\data", "a server's name"),
        (r"\[fe80::1]\data", "a server's name"),
        ("\\fs1\0.corp\\data", "a server's name"),
        (r"\fs 1\data", "a server's name"),
        (r"\fs1..corp\data", "a server's name"),
        (r"\..\data", "a server's name"),
        (r"\fs1/x\data", "a server's name"),
        (r"\fs1@REALM\data", "a server's name"),
        ("\\fs1\\da\nta", "a server and a share"),
        (r"\fs1\da:ta", "a server and a share"),
        ("\\fs1\\" + "d" * 81, "a server and a share"),
        ("\\" + "f" * 254 + "\\data", "a server's name"),
        (r"\fs1\data\..\other", "expected a name"),
        (r"\fs1\data\nul", "reserved"),
    ],
)
def test_what_a_referral_may_not_name(referral: str, says: str) -> None:
    with pytest.raises(EngineError, match=says) as caught:
        target_of(NAMESPACE, referral, "projects")
    assert caught.value.reason == "DfsTargetUnusable"


def test_a_short_name_is_one_of_the_identitys_own_domain() -> None:
    found = target_of(NAMESPACE, r"\FS1\data", "")
    assert (found.server, found.service_principal) == ("FS1.corp.example.com", "cifs/FS1.corp.example.com")


@pytest.mark.parametrize(
    ("consumed", "rest"), [(len(r"\ns\dfs\a"), r"b\c"), (len(r"\ns\dfs\a\b\c"), ""), (len("\\ns\\dfs\\"), r"a\b\c")]
)
def test_what_a_referral_leaves_of_the_path(consumed: int, rest: str) -> None:
    assert rest_of(r"\ns\dfs\a\b\c", consumed) == rest


@pytest.mark.parametrize("consumed", [5, 99])
def test_a_referral_for_half_a_name_or_more_than_there_is_is_refused(consumed: int) -> None:
    with pytest.raises(EngineError, match="referral for"):
        rest_of(r"\ns\dfs\a", consumed)


@given(st.text(st.characters(codec="utf-16-le"), max_size=40), st.integers(0, 60))
def test_no_count_makes_it_fail_in_any_other_way(path: str, consumed: int) -> None:
    try:
        rest = rest_of(path, consumed)
    except EngineError:
        return
    assert path.endswith(rest)


def test_units_are_counted_as_utf_16_has_them() -> None:
    assert rest_of("\\ns\\dfs\\\U0001f680\\x", len("\\ns\\dfs\\") + 2) == "x"


def test_a_path_is_asked_for_from_the_server_on() -> None:
    assert path_of(replace(NAMESPACE, server="ns.corp.example.com.", path="/")) == r"\ns.corp.example.com\dfs"
