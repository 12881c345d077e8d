"""The lab's member server is what the other tests take it for: real access lists, Backup Operators, a small folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.smblab.settings import PLAIN_USERS, SERVICE_USERS
from lab.support.domain.domain import Domain
from lab.support.domain.member import BACKUP_OPERATORS, READERS, WRITERS, Member
from lab.support.domain.trees import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.domain.domain import User
    from lab.support.domain.machine import Directory

MIB = 1 << 20
# Full control in numbers: the letters FA leave the standard rights out in Samba's own reading.
OURS_ALONE = "O:BAG:DUD:PAI(A;OICI;0x001f01ff;;;BA)"
# One of each way to be handed down.
FAMILY = (
    "O:{Administrator}G:{Domain Users}D:PAI(D;OICI;WO;;;{dst-writers})(A;OICI;0x001f01ff;;;BA)"
    "(A;OICIIO;0x001f01ff;;;CO)(A;CI;0x001200a9;;;{src-readers})(A;OI;0x001200a9;;;BU)(A;OICINP;0x001301bf;;;BG)"
)


@pytest.fixture(scope="module")
def domain() -> Domain:
    return Domain.from_environment()


@pytest.fixture(scope="module")
def member(domain: Domain) -> Member:
    return Member.from_environment(domain)


@pytest.fixture(scope="module")
def operator(domain: Domain) -> Iterator[User]:
    with domain.user(READERS, WRITERS, BACKUP_OPERATORS) as user:
        yield user


@pytest.fixture(scope="module")
def plain(domain: Domain) -> Iterator[User]:
    with domain.user(READERS, WRITERS) as user:
        yield user


@pytest.fixture
def directory(member: Member) -> Iterator[Directory]:
    with member.directory("acl-both") as made:
        yield made


def test_the_member_is_no_controller_and_has_its_names(domain: Domain, member: Member) -> None:
    assert domain.run("dig", "+short", f"@{domain.address}", "A", member.server).text.strip() == member.address
    back = domain.run("dig", "+short", f"@{domain.address}", "-x", member.address).text.strip()
    assert back == f"{member.server}."
    spns = domain.samba_tool("spn", "list", "FS1$")
    assert f"HOST/{member.server}" in spns
    assert "member server" in member.run("testparm", "-s", "--parameter-name=server role").text


@pytest.mark.parametrize("user", [*SERVICE_USERS, *PLAIN_USERS])
def test_a_service_user_gets_what_its_groups_have(member: Member, user: str) -> None:
    reads = "src" in user
    mine, other = ("acl-src", "acl-dst") if reads else ("acl-dst", "acl-src")
    assert member.smbclient(user, mine, "ls").code == 0
    assert "ACCESS_DENIED" in member.smbclient(user, other, "ls", check=False).text
    made = member.smbclient(user, mine, f"mkdir {user}", f"rmdir {user}", check=False)
    assert ("ACCESS_DENIED" in made.text) == reads


def test_what_nobody_named_is_only_backup_operators_and_only_with_backup_intent(
    member: Member, directory: Directory, operator: User, plain: User
) -> None:
    directory.write("f", b"content")
    member.describe(directory, {"": OURS_ALONE, "f": OURS_ALONE})
    look, read = f'ls "{directory.name}/*"', f'get "{directory.name}/f" -'
    for user, intent, allowed in ((operator, True, True), (operator, False, False), (plain, True, False)):
        begin = ["backup"] if intent else []
        for command in (look, read):
            done = member.smbclient(user.name, "acl-both", *begin, command, check=False)
            assert ("ACCESS_DENIED" in done.text) != allowed, (user, intent, command, done.text)


def test_backup_operators_have_their_rights(member: Member) -> None:
    for right in ("SeBackupPrivilege", "SeRestorePrivilege"):
        assert "BUILTIN\\Backup Operators" in member.run("net", "sam", "rights", "list", right).text
    assert BACKUP_OPERATORS in member.run("net", "sam", "listmem", "BUILTIN\\Backup Operators").text


def test_what_is_seeded_inherits_as_what_the_server_makes_itself(member: Member, directory: Directory) -> None:
    member.describe(directory, {"": FAMILY})
    directory.seed([Wanted("seeded/f", size=1)])
    commands = (f"cd {directory.name}", "mkdir made", "put /etc/hostname made/f", "put /etc/hostname f")
    member.smbclient("Administrator", "acl-both", *commands)
    directory.seed([Wanted("g", size=1)])
    found = member.look(directory)
    for seeded, made in (("seeded", "made"), ("seeded/f", "made/f"), ("g", "f")):
        for part in ("owner", "group", "control", "dacl"):
            assert found[seeded][part] == found[made][part], (seeded, part)


def test_a_descriptor_is_read_back_as_it_was_written(member: Member, directory: Directory) -> None:
    directory.seed([Wanted("f", size=1)])
    member.describe(directory, {"f": "O:{svc-src}G:DUD:PAI(D;;WD;;;{svc-dst})(A;ID;FR;;;BU)"})
    found = member.look(directory)["f"]
    assert found["owner"] == member.sid("svc-src")
    assert found["control"] & 0x1400 == 0x1400
    assert found["dacl"] == [[1, 0, 0x40000, member.sid("svc-dst")], [0, 0x10, 0x120089, "S-1-5-32-545"]]


def test_a_folder_fills_up_while_the_share_has_room(member: Member, operator: User) -> None:
    with member.directory("acl-dst", f"tight/{operator.name}") as small, member.directory("acl-dst") as roomy:
        for directory, fits in ((small, False), (roomy, True)):
            member.run("truncate", "-s", "60M", f"/tmp/{operator.name}")
            try:
                done = member.run("dd", f"if=/tmp/{operator.name}", f"of={directory.inside}/f", "bs=1M", check=False)
            finally:
                member.run("rm", f"/tmp/{operator.name}")
            assert (done.code == 0) == fits, done.text


def test_a_snapshot_has_what_was_there(member: Member, directory: Directory, operator: User) -> None:
    directory.write("f", b"as it was")
    with member.snapshot(directory) as token:
        directory.write("f", b"as it is")
        read = member.smbclient(operator.name, "acl-both", f"get {token}/{directory.name}/f -")
        assert b"as it was" in read.output
        assert b"as it is" in member.smbclient(operator.name, "acl-both", f"get {directory.name}/f -").output


def test_a_file_has_streams(member: Member, directory: Directory, operator: User) -> None:
    directory.write("f", b"x")
    there = f"{directory.name}/f"
    shown = member.smbclient(operator.name, "acl-both", f"put /etc/hostname {there}:side", f"allinfo {there}").text
    assert "stream: [:side:$DATA]" in shown
