"""krb5.conf: what is kept, what is refused by name and line, and that nothing else reaches the rendered file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.krb5_config import KdcTarget, Krb5Config, check_realm, may_be_mapped, parse
from smbferry_agent.kerberos.krb5_render import render
from smbferry_api.identity import Enctype

TYPICAL = """
# a comment
[libdefaults]
    default_realm = CORP.EXAMPLE.COM
    dns_lookup_kdc = false
    ticket_lifetime = 10h
    renew_lifetime = 7d
    default_ccache_name = KEYRING:persistent:%{uid}
    default_tkt_enctypes = aes256-cts rc4-hmac
[realms]
    CORP.EXAMPLE.COM = {
        kdc = dc1.corp.example.com
        kdc = dc2.corp.example.com:8888
        kdc = 10.0.0.9
        kdc = [2001:db8::1]:88
        admin_server = dc1.corp.example.com
    }
    OTHER.EXAMPLE.COM = {
    }
[domain_realm]
    .corp.example.com = CORP.EXAMPLE.COM
[capaths]
    CORP.EXAMPLE.COM = {
        OTHER.EXAMPLE.COM = .
    }
[logging]
    default = FILE:/var/log/krb5.log
"""


def test_a_typical_file_is_kept_as_far_as_it_is_a_clients_business() -> None:
    config = parse(TYPICAL)
    assert config.default_realm == "CORP.EXAMPLE.COM"
    assert config.dns_lookup_kdc is False
    assert (config.ticket_lifetime, config.renew_lifetime) == ("10h", "7d")
    assert config.realms["CORP.EXAMPLE.COM"] == (
        KdcTarget("dc1.corp.example.com"),
        KdcTarget("dc2.corp.example.com", 8888),
        KdcTarget("10.0.0.9"),
        KdcTarget("2001:db8::1"),
    )
    assert config.realms["OTHER.EXAMPLE.COM"] == ()
    assert config.domain_realm == {".corp.example.com": "CORP.EXAMPLE.COM"}
    assert config.capaths == {"CORP.EXAMPLE.COM": {"OTHER.EXAMPLE.COM": (".",)}}
    assert set(config.ignored) == {"default_ccache_name", "default_tkt_enctypes", "admin_server"}


@pytest.mark.parametrize("text", ["", "\r\n", "# nothing\n; at all\n", "[libdefaults]\r\n  default_realm = A\r\n"])
def test_files_that_say_little_are_fine(text: str) -> None:
    assert isinstance(parse(text), Krb5Config)


REFUSED = [
    ("module /tmp/evil.so:config", 1, "module"),
    ("[plugins]\n", 1, "plugins"),
    ("[plugins]\n pwqual = {\n module = x:/tmp/x.so\n }", 1, "plugins"),
    ("[unheard_of]\n x = y", 1, "unheard_of"),
    ("[dbmodules]\n A = {\n  db_module_dir = /tmp\n }", 3, "db_module_dir"),
    ("[libdefaults]\n plugin_base_dir = /tmp", 2, "plugin_base_dir"),
    ("[realms]\n A = {\n  database_module = x\n }", 3, "database_module"),
    ("[libdefaults]\n A = {\n  plugins = {\n   x = y\n }\n }", 3, "loads or runs"),
    ("[realms]\n A = {\n kdc = 127.0.0.1\n }", 3, "loopback"),
    ("[realms]\n A = {\n kdc = [::1]:88\n }", 3, "loopback"),
    ("[realms]\n A = {\n kdc = [::ffff:127.0.0.1]\n }", 3, "loopback"),
    ("[realms]\n A = {\n kdc = 169.254.169.254:80\n }", 3, "link-local"),
    ("[realms]\n A = {\n kdc = [fe80::1]\n }", 3, "link-local"),
    ("[realms]\n A = {\n kdc = 100.100.100.200\n }", 3, "metadata"),
    ("[realms]\n A = {\n kdc = [fd00:ec2::254]\n }", 3, "metadata"),
    ("[realms]\n A = {\n kdc = 0.0.0.0\n }", 3, "not the address of a host"),
]


@pytest.mark.fault(56, 57)
@pytest.mark.parametrize(("text", "line", "says"), REFUSED)
def test_what_loads_or_runs_something_is_refused_by_name_and_line(text: str, line: int, says: str) -> None:
    with pytest.raises(AgentError) as raised:
        parse(text)
    assert raised.value.reason.name == "Krb5ConfigRefused"
    assert f"line {line}:" in raised.value.message
    assert says in raised.value.message


LEFT_OUT = [
    ("include /etc/krb5.conf.d/x", "line 1: include '/etc/krb5.conf.d/x' is ignored, other files are not read"),
    ("[libdefaults]\n includedir /etc/krb5.conf.d/", "line 2: includedir '/etc/krb5.conf.d/' is ignored"),
    ("\ufeff[libdefaults]", "line 1: a byte order mark is ignored"),
    ("[libdefaults]\n allow_weak_crypto = true", "line 2: allow_weak_crypto is ignored"),
    ("[libdefaults]\n allow_rc4 = yes", "line 2: allow_rc4 is ignored"),
    ("[libdefaults]\n allow_des3 = 1", "line 2: allow_des3 is ignored"),
    ("[dbmodules]\n A = {\n  db_library = ipadb.so\n }", "line 1: the section [dbmodules] is not read"),
    ("[dbdefaults]\n ldap_servers = ldapi:///", "line 1: the section [dbdefaults] is not read"),
    ("[pam]\n debug = false", "line 1: the section [pam] is not read"),
    ("[libdefaults]\n pkinit_identity = FILE:x", "line 2: pkinit_identity is ignored"),
    ("[realms]\n A = {\n  pkinit_identities = PKCS11:/tmp/x.so\n }", "line 3: pkinit_identities is ignored"),
    (
        "[realms]\n A = {\n  kdc = https://proxy/KdcProxy\n }",
        "line 3: the KDC proxy 'https://proxy/KdcProxy' is ignored",
    ),
]


@pytest.mark.fault(96)
@pytest.mark.parametrize(("text", "says"), LEFT_OUT)
def test_what_mits_library_would_heed_and_we_do_not_is_accepted_and_told(text: str, says: str) -> None:
    config = parse(text)
    assert [finding for finding in config.findings if finding.startswith(says)], config.findings
    written = rendered(config)
    for absent in ("include", "/etc", "/tmp", "https", "pkinit", "ipadb", "allow_weak_crypto = true"):
        assert absent not in written


@pytest.mark.parametrize("text", [TYPICAL, "[libdefaults]\n allow_weak_crypto = false\n"])
def test_what_nobody_counts_on_is_not_told(text: str) -> None:
    assert parse(text).findings == ()


@pytest.mark.parametrize("between", ["\n", "\n\n", "\n # why\n"])
def test_a_block_may_open_on_the_next_line(between: str) -> None:
    config = parse(f"[realms]\n A ={between} {{\n  kdc = dc1\n }}\n B = {{\n  kdc = dc2\n }}\n")
    assert config.realms == {"A": (KdcTarget("dc1"),), "B": (KdcTarget("dc2"),)}


def test_a_relation_without_a_value_that_opens_nothing_is_one() -> None:
    config = parse("[libdefaults]\n default_ccache_name =\n default_realm = A\n ccache_type =")
    assert (config.default_realm, config.ignored) == ("A", ("default_ccache_name", "ccache_type"))


@pytest.mark.parametrize(
    ("kdcs", "needs"),
    [("kdc = https://p/", True), ("kdc = https://p/\n kdc = dc1", False), ("kdc = dc1", False), ("", False)],
)
def test_a_realm_whose_kdcs_are_all_proxies_is_known(kdcs: str, *, needs: bool) -> None:
    config = parse(f"[realms]\n A = {{\n {kdcs}\n }}\n")
    assert (config.needs_proxy("A"), config.needs_proxy("B")) == (needs, False)


INVALID = [
    ("default_realm = A", 1),
    ("[libdefaults]\nwhat is this", 2),
    ("[libdefaults\n", 1),
    ("[libdefaults]\n default_realm = A B", 2),
    ("[libdefaults]\n default_realm = A\x00", 2),
    ("[libdefaults]\n ticket_lifetime = 10h; rm -rf", 2),
    ("[libdefaults]\n dns_lookup_kdc = perhaps", 2),
    ("[realms]\n A = b", 2),
    ("[realms]\n A = {\n kdc = http://evil/\n }", 3),
    ("[realms]\n A = {\n kdc = dc1:0\n }", 3),
    ("[realms]\n A = {\n kdc = dc1:99999\n }", 3),
    ("[realms]\n A = {\n kdc = a b\n }", 3),
    ("[domain_realm]\n bad domain = A", 2),
    ("[domain_realm]\n a = $(A)", 2),
    ("[capaths]\n A = B", 2),
    ("}", 1),
]


@pytest.mark.parametrize(("text", "line"), INVALID)
def test_what_cannot_be_read_is_named_by_its_line(text: str, line: int) -> None:
    with pytest.raises(AgentError) as raised:
        parse(text)
    assert raised.value.reason.name == "Krb5ConfigInvalid"
    assert f"line {line}:" in raised.value.message


def test_a_block_that_is_not_closed_is_named() -> None:
    with pytest.raises(AgentError, match="not closed"):
        parse("[realms]\n A = {\n kdc = dc1\n")


@pytest.mark.parametrize("realm", ["A={kdc=10.0.0.1}", 'A"', "A#", "{", "A$(x)", "-A"])
def test_a_realm_that_could_say_more_than_a_name_is_refused(realm: str) -> None:
    with pytest.raises(AgentError) as raised:
        check_realm(f"svc@{realm}")
    assert raised.value.reason.name == "SpecInvalid"


def test_usual_realms_are_fine() -> None:
    check_realm("svc/host@CORP.EXAMPLE.COM")
    check_realm("svc@corp_1.local")


@pytest.mark.parametrize(
    ("host", "realm"),
    [
        ("special.corp.example.com", "OTHER.EXAMPLE.NET"),
        ("FILES.corp.example.com.", "CORP.EXAMPLE.COM"),
        ("a.b.corp.example.com", "CORP.EXAMPLE.COM"),
        ("corp.example.com", None),
        ("www.plain.example.org", "PLAIN"),
        ("plain.example.org", "PLAIN"),
        ("files.example.net", None),
        ("", None),
    ],
)
def test_a_host_is_in_the_realm_of_its_name_else_of_its_nearest_domain(host: str, realm: str | None) -> None:
    text = "[domain_realm]\n .corp.example.com = CORP.EXAMPLE.COM\n special.corp.example.com = OTHER.EXAMPLE.NET\n"
    assert parse(f"{text} plain.example.org = PLAIN\n").realm_of(host) == realm


@pytest.mark.parametrize(
    ("host", "realm", "fine"),
    [
        ("files.corp.example.com", "CORP.EXAMPLE.COM", True),
        ("files = x", "A", False),
        ("files\nkdc", "A", False),
        ("{", "A", False),
        ("", "A", False),
        ("a", "A\n[plugins]", False),
        ("a", "", False),
    ],
)
def test_only_names_are_written_into_a_mapping(host: str, realm: str, *, fine: bool) -> None:
    assert may_be_mapped(host, realm) is fine


def rendered(config: Krb5Config) -> str:
    kdcs = {realm: [(t.host, t.port) for t in targets] for realm, targets in config.realms.items()}
    return render(config, realm="CORP.EXAMPLE.COM", enctypes=[Enctype.AES256_SHA1], kdcs=kdcs)


def test_the_rendered_file_says_the_same_and_nothing_weak() -> None:
    config = parse(TYPICAL)
    again = parse(rendered(config))
    assert again.realms == config.realms
    assert again.domain_realm == config.domain_realm
    assert again.capaths == config.capaths
    text = rendered(config)
    assert "permitted_enctypes = aes256-cts-hmac-sha1-96\n" in text
    assert 'qualify_shortname = ""\n' in text, "a Pod's search domain says nothing of the file server's"
    for absent in ("rc4", "KEYRING", "admin_server", "/var/log"):
        assert absent not in text


LINES = st.lists(
    st.sampled_from(
        [
            "[libdefaults]",
            "[realms]",
            "[domain_realm]",
            "[capaths]",
            "[logging]",
            "A = {",
            "A =",
            "{",
            "include /etc/passwd",
            "kdc = https://proxy/",
            "}",
            "kdc = dc1.example.com",
            "kdc = 10.0.0.1:88",
            "default_realm = A",
            ".example.com = A",
            "ticket_lifetime = 10h",
            "B = .",
            'x = "y"',
        ]
    )
    | st.text(max_size=30),
    max_size=20,
)


@given(LINES)
def test_any_text_is_kept_or_refused_and_what_is_kept_renders_to_itself(lines: list[str]) -> None:
    try:
        config = parse("\n".join(lines))
    except AgentError:
        return
    again = parse(rendered(config))
    assert again.realms == config.realms
    assert again.domain_realm == config.domain_realm
    assert {c: s for c, s in config.capaths.items() if s} == {c: s for c, s in again.capaths.items() if s}
