"""The lab's domain is what the other tests take it for."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from lab.smblab import keytab
from lab.support.domain import trees
from lab.support.domain.domain import Domain
from lab.support.domain.machine import DomainError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def domain() -> Domain:
    return Domain.from_environment()


def kinit(path: Path, data: bytes, principal: str) -> subprocess.CompletedProcess[str]:
    source = path / "keytab"
    source.write_bytes(data)
    command = ["kinit", "-c", f"FILE:{path / 'ccache'}", "-k", "-t", str(source), principal]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_a_service_user_reads_only_what_it_may(domain: Domain) -> None:
    assert domain.smbclient("svc-src", "src", "ls").code == 0
    assert "ACCESS_DENIED" in domain.smbclient("svc-src", "dst", "ls", check=False).text
    assert "ACCESS_DENIED" in domain.smbclient("svc-src", "src", "mkdir not-allowed", check=False).text
    assert domain.smbclient("svc-dst", "dst", "mkdir allowed", "rmdir allowed").code == 0


@pytest.mark.parametrize("port", [1445, 1446])
def test_the_other_servers_cannot_encrypt_but_serve_who_does_not_ask(domain: Domain, port: int) -> None:
    refused = domain.smbclient("svc-src", "src", "ls", port=port, check=False)
    assert "doesn't support SMB3 encryption" in refused.text
    assert domain.smbclient("svc-src", "src", "ls", port=port, protection="sign").code == 0


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["SRV", "_kerberos._tcp.corp.example.com"], "0 100 88 dc1.corp.example.com."),
        (["SRV", "_kerberos._udp.corp.example.com"], "0 100 88 dc1.corp.example.com."),
        (["SRV", "_ldap._tcp.corp.example.com"], "0 100 389 dc1.corp.example.com."),
    ],
)
def test_dns_has_the_service_records(domain: Domain, arguments: list[str], answer: str) -> None:
    assert domain.run("dig", "+short", f"@{domain.address}", *arguments).text.strip() == answer


def test_dns_names_the_server_both_ways(domain: Domain) -> None:
    assert domain.run("dig", "+short", f"@{domain.address}", "A", domain.server).text.strip() == domain.address
    assert domain.run("dig", "+short", f"@{domain.address}", "-x", domain.address).text.strip() == f"{domain.server}."


def test_a_password_change_raises_the_kvno_and_makes_the_keytab_stale(domain: Domain, tmp_path: Path) -> None:
    with domain.user("src-readers") as user:
        before, old = domain.kvno(user.name), user.keytab()
        assert kinit(tmp_path, old, user.principal).returncode == 0
        domain.set_password(user.name)
        assert domain.kvno(user.name) == before + 1
        assert "Preauthentication failed" in kinit(tmp_path, old, user.principal).stderr
        assert kinit(tmp_path, user.keytab(), user.principal).returncode == 0


def test_a_keytab_has_the_enctypes_asked_for(domain: Domain) -> None:
    with domain.user() as user:
        one = keytab.parse(user.keytab(enctypes=[keytab.AES128_SHA1]))
        assert [(entry.principal, entry.enctype) for entry in one] == [(user.principal, keytab.AES128_SHA1)]
        weak = keytab.parse(user.keytab(enctypes=[keytab.RC4]))
        assert {entry.enctype for entry in weak} == {keytab.RC4}
        with pytest.raises(DomainError, match="none of"):
            user.keytab(enctypes=[keytab.AES256_SHA384])


def test_a_keytab_made_from_the_password_has_the_domains_keys(domain: Domain) -> None:
    with domain.user() as user:
        made = keytab.parse(domain.make_keytab(user.principal, user.password, kvno=99))
        own = keytab.parse(user.keytab())
        assert {(entry.enctype, entry.key) for entry in made} == {(entry.enctype, entry.key) for entry in own}
        assert {entry.kvno for entry in made} == {99}
        salted = keytab.parse(domain.make_keytab(user.principal, user.password, kvno=99, salt="other"))
        assert not {entry.key for entry in salted} & {entry.key for entry in own}


def test_an_odd_tree_is_seeded_and_read_back_the_same(domain: Domain) -> None:
    with domain.directory("src") as one, domain.directory("dst") as other:
        one.seed(trees.odd())
        other.seed(trees.odd())
        assert trees.differences(one.tree(), other.tree()) == []
        files = [wanted for wanted in trees.odd() if wanted.kind == "file"]
        assert {path for path, entry in one.tree().items() if entry.kind == "file"} == {wanted.path for wanted in files}
        other.write("new/file", b"x")
        other.remove("with space")
        found = trees.differences(one.tree(), other.tree())
        assert "only in the destination: 'new/file'" in found
        assert "only in the source: 'with space'" in found
        assert other.read("new/file") == b"x"


def test_a_fresh_directory_is_gone_afterwards(domain: Domain) -> None:
    with domain.directory("dst") as directory:
        inside = directory.inside
        assert domain.run("test", "-d", inside).code == 0
    assert domain.run("test", "-e", inside, check=False).code == 1
