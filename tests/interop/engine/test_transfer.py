"""Trees copied between real shares; the files behind them, the server's own tools and hashes are the witnesses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from lab.support.domain.domain import User
from lab.support.domain.trees import Wanted, differences, odd, small

from smbferry_engine import (
    CompareBy,
    DeletedFiles,
    EngineError,
    Outcome,
    SecurityDescriptors,
    TransferMode,
    VerifyMode,
    compare,
)
from smbferry_engine.core.calls import close_request, open_request
from smbferry_engine.plan.mark import SHIFT_SECONDS
from smbferry_engine.session.connect import connect
from smbferry_engine.session.driver import Driver
from smbferry_engine.share.share import Share
from smbferry_engine.wire.create import CreateOption, Disposition

if TYPE_CHECKING:
    from lab.support.domain.domain import Domain
    from lab.support.domain.machine import Directory
    from lab.support.domain.member import Member
    from tests.interop.engine.support import Bench

    from smbferry_engine import Counters


pytestmark = pytest.mark.takes(35)

MIB = 1 << 20
TEMPORARY = ".smbferry-"


def descriptor(domain: Domain, directory: Directory, path: str, *arguments: str) -> str:
    """A security descriptor as smbcacls shows it, asked for as the domain's administrator."""
    keytab, ccache = "/tmp/descriptor.keytab", "/tmp/descriptor.ccache"
    domain.samba_tool("domain", "exportkeytab", keytab, "--principal=Administrator")
    domain.run("kinit", "-c", ccache, "-k", "-t", keytab, f"Administrator@{domain.realm}")
    shown = domain.run(
        "smbcacls", "--use-kerberos=required", f"--use-krb5-ccache={ccache}", "--client-protection=encrypt", "--sddl",
        f"//{directory.domain.server}/{directory.share}", f"{directory.name}/{path}", *arguments,
        env={"KRB5CCNAME": ccache},
    )  # fmt: skip
    return shown.text


def set_descriptor(domain: Domain, directory: Directory, path: str, sddl: str) -> None:
    descriptor(domain, directory, path, "--set", sddl)


def same(bench: Bench, *, times: bool = True) -> None:
    assert differences(bench.source.tree(), bench.destination.tree(), times=times) == []


def test_a_tree_of_odd_names_and_sizes_arrives_whole_with_its_times(bench: Bench) -> None:
    bench.source.seed([*odd(), *small(400, per_folder=40), Wanted("large.bin", size=37 * MIB + 5)])
    bench.source.domain.run("touch", "-d", "2001-02-03 04:05:06.1234567", f"{bench.source.inside}/large.bin")
    bench.source.domain.run("touch", "-d", "2002-03-04 05:06:07.7654321", f"{bench.source.inside}/Umläute")
    result = bench.copy()
    assert bench.watcher.failures == []
    assert result.outcome is Outcome.SUCCEEDED
    same(bench)
    folder = bench.source.domain.run("stat", "-c", "%y", f"{bench.destination.inside}/Umläute").text
    assert folder.startswith("2002-03-04 05:06:07.765432100")
    counters = result.counters
    assert counters.files.transferred == counters.files.verified == counters.files.listed
    found = compare(*bench.ends())
    assert found.equal
    assert found.files == counters.files.listed
    assert [phase for phase in bench.watcher.phases if phase[1] == "Running"] == [
        ("prepare", "Running"),
        ("transfer", "Running"),
        ("verify", "Running"),
    ]


def test_a_second_run_transfers_nothing_and_changes_nothing(bench: Bench) -> None:
    bench.source.seed([*odd(), *small(50)])
    bench.copy()
    before = bench.destination.tree()
    counters = bench.copy().counters
    assert (counters.files.transferred, counters.files.skipped) == (0, counters.files.listed)
    assert counters.directories.transferred == 0
    assert bench.destination.tree() == before


@pytest.mark.parametrize("mode", [{}, {"compare_by": CompareBy.CHECKSUM}, {"transfer_mode": TransferMode.ALL}])
def test_what_changed_is_replaced_whole(bench: Bench, mode: dict[str, Any]) -> None:
    bench.source.seed([Wanted("small", size=5000), Wanted("large", size=9 * MIB), Wanted("same", size=10)])
    bench.copy()
    bench.source.write("small", b"new content")
    bench.source.write("large", b"x" * (3 * MIB))
    counters = bench.copy(**mode).counters
    assert bench.watcher.failures == []
    assert counters.files.transferred == (3 if mode.get("transfer_mode") else 2)
    same(bench)


def test_a_read_only_file_is_replaced_and_attributes_are_kept(bench: Bench, domain: Domain) -> None:
    bench.source.seed([Wanted("f", size=100)])
    bench.copy()
    domain.smbclient(
        "Administrator", "src", f'setmode "{bench.source.name}/f" +rhs', f'allinfo "{bench.source.name}/f"'
    )
    bench.copy()
    shown = domain.smbclient("Administrator", "dst", f'allinfo "{bench.destination.name}/f"').text
    assert "attributes: RHS" in shown
    bench.source.write("f", b"changed")
    bench.copy()
    assert bench.watcher.failures == []
    assert bench.destination.read("f") == b"changed"


def test_creation_and_access_times_are_the_sources(bench: Bench, domain: Domain) -> None:
    bench.source.seed([Wanted("f", size=100), Wanted("g", size=2 * MIB)])
    stamp = "2019:01:02-03:04:05"
    for name in ("f", "g"):
        domain.smbclient("Administrator", "src", f'utimes "{bench.source.name}/{name}" {stamp} -1 {stamp} -1')
    bench.copy(verify_mode=VerifyMode.NONE)
    for name in ("f", "g"):
        ours = domain.smbclient("Administrator", "src", f'allinfo "{bench.source.name}/{name}"').text
        theirs = domain.smbclient("Administrator", "dst", f'allinfo "{bench.destination.name}/{name}"').text
        for word in ("create_time", "write_time"):
            line = next(line for line in ours.splitlines() if line.startswith(word))
            assert "2019" in line
            assert line in theirs


def test_owner_and_access_list_are_the_sources(bench: Bench, domain: Domain) -> None:
    bench.source.seed([Wanted("f", size=100), Wanted("g", size=2 * MIB), Wanted("d/x", size=1)])
    sddl = "O:S-1-5-32-545G:S-1-5-32-545D:P(A;;0x1f01ff;;;BA)(A;;0x1f01ff;;;WD)(A;;0x1200a9;;;S-1-5-32-546)"
    for name in ("f", "g", "d"):
        set_descriptor(domain, bench.source, name, sddl)
    result = bench.copy(security_descriptors=SecurityDescriptors.OWNER_DACL)
    assert bench.watcher.failures == []
    assert result.outcome is Outcome.SUCCEEDED
    for name in ("f", "g", "d"):
        shown = [descriptor(domain, side, name) for side in (bench.source, bench.destination)]
        assert shown[0] == shown[1]
        assert "BG" in shown[1]


@pytest.mark.fault(30)
def test_one_denied_file_is_recorded_and_the_others_are_copied(bench: Bench, domain: Domain) -> None:
    bench.source.seed([Wanted("ok", size=10), Wanted("denied", size=10), Wanted("dark/x", size=1)])
    for name in ("denied", "dark"):
        domain.samba_tool("ntacl", "set", "O:BAG:BAD:(A;;FA;;;BA)", f"{bench.source.inside}/{name}")
    result = bench.copy()
    assert result.outcome is Outcome.PARTIALLY_SUCCEEDED
    assert bench.watcher.reasons == {"/denied": "AccessDenied", "/dark": "AccessDenied"}
    assert bench.destination.read("ok") == bench.source.read("ok")


@pytest.mark.fault(35)
def test_a_loop_of_links_ends(bench: Bench, domain: Domain) -> None:
    bench.source.seed([Wanted("a/f", size=3)])
    domain.run("ln", "-s", ".", f"{bench.source.inside}/a/loop")
    result = bench.copy()
    assert result.counters.files.listed <= 2
    assert bench.destination.read("a/f") == bench.source.read("a/f")
    assert set(bench.watcher.reasons.values()) <= {"DirectoryLoop", "ReparsePointSkipped"}


def test_removed_files_go_and_the_limit_holds(bench: Bench) -> None:
    bench.source.seed([Wanted("keep", size=1), Wanted("d/keep", size=1)])
    bench.destination.seed([Wanted(f"old/{n}/f", size=1) for n in range(5)])
    before = bench.destination.tree()
    with pytest.raises(EngineError) as caught:
        bench.copy(deleted_files=DeletedFiles.REMOVE)
    assert caught.value.reason == "MaxDeletesExceeded"
    assert before.items() <= bench.destination.tree().items()
    dry = bench.copy(deleted_files=DeletedFiles.REMOVE, max_deletes="100%", dry_run=True).counters
    assert (dry.files.to_delete, dry.directories.to_delete, dry.files.deleted) == (5, 6, 0)
    counters = bench.copy(deleted_files=DeletedFiles.REMOVE, max_deletes="100%").counters
    assert (counters.files.deleted, counters.directories.deleted) == (5, 6)
    same(bench)


def test_a_folder_of_many_files_is_listed_over_several_pages(bench: Bench, domain: Domain) -> None:
    domain.run(
        "sh",
        "-c",
        'cd "$1" && seq -f "file number %06g of this long folder" 5000 | xargs -d "\\n" touch',
        "sh",
        bench.source.inside,
    )
    result = bench.copy(dry_run=True)
    assert result.counters.files.to_transfer == 5000


def test_point_in_time_verification_finds_what_was_changed_behind_our_back(bench: Bench) -> None:
    bench.source.seed([Wanted("f", size=100), Wanted("g", size=100)])
    bench.copy()
    inside = f"{bench.destination.inside}/g"
    bench.source.domain.run(
        "sh",
        "-c",
        'touch -r "$1" /tmp/when && printf X | dd of="$1" conv=notrunc && touch -r /tmp/when "$1"',
        "sh",
        inside,
    )
    result = bench.copy(verify_mode=VerifyMode.POINT_IN_TIME_CONSISTENT)
    assert bench.watcher.reasons == {"/g": "HashMismatch"}
    assert result.outcome is Outcome.PARTIALLY_SUCCEEDED


def test_a_cancelled_run_leaves_the_old_file_and_nothing_else(bench: Bench) -> None:
    bench.source.seed([Wanted("large", size=300 * MIB), *small(50)])
    bench.destination.write("large", b"old")
    seen: list[int] = []

    def watch(counters: Counters) -> None:
        seen.append(counters.bytes.written)

    bench.watcher.on_progress = watch
    polls = iter([False] * 3)
    with pytest.raises(EngineError) as caught:
        bench.copy(cancelled=lambda: next(polls, True), bytes_per_second=100 * MIB)
    assert caught.value.reason == "RunCancelled"
    assert bench.destination.read("large") == b"old"
    assert not [path for path in bench.destination.tree() if TEMPORARY in path]
    assert ("transfer", "Failed") in bench.watcher.phases


def test_an_owner_that_the_account_may_not_set_is_said_and_everything_else_is_copied(
    bench: Bench, domain: Domain, member: Member
) -> None:
    bench.source.seed([Wanted("f", size=100), Wanted("g", size=2 * MIB)])
    for name in ("f", "g"):
        # A user: an owner that is a group without a uid is set by Samba for whoever asks.
        set_descriptor(domain, bench.source, name, f"O:{member.sid('svc-src')}D:P(A;;0x1f01ff;;;WD)")
    with domain.user("dst-writers", prefix="plain") as user:
        source, destination = bench.ends()
        destination = bench.tickets.endpoint(bench.destination.share, bench.destination.path, user=user)
        for number in range(2):
            result = bench.copy(ends=(source, destination), security_descriptors=SecurityDescriptors.OWNER_DACL)
            assert result.outcome is Outcome.PARTIALLY_SUCCEEDED
            # The root is named, too, where its source's access list does not let the account in.
            files = {path: reason for path, reason in bench.watcher.reasons.items() if path != "/"}
            assert files == {"/f": "OwnerNotPermitted", "/g": "OwnerNotPermitted"}
            assert result.counters.files.incomplete == 2
            assert result.counters.bytes.written == (0 if number else 100 + 2 * MIB)
    ours, theirs = bench.source.tree(), bench.destination.tree()
    assert differences(ours, theirs) == []
    assert {ours[name].mtime_ns // 10**9 - theirs[name].mtime_ns // 10**9 for name in ("f", "g")} == {SHIFT_SECONDS}
    result = bench.copy(security_descriptors=SecurityDescriptors.OWNER_DACL)  # by an account that may set it
    assert bench.watcher.failures == []
    assert (result.counters.files.transferred, result.counters.bytes.written) == (2, 0)
    assert differences(bench.source.tree(), bench.destination.tree(), times=True) == []
    assert "D:P(A;;0x001f01ff;;;WD)" in descriptor(domain, bench.destination, "f")


# The longest name, forms of one letter, and characters that no one sees. (Samba refuses lone surrogates altogether.)
HARD_NAMES = [
    "composed \u00e9",
    "decomposed e\u0301",
    "\U0001f6a2",
    "n" * 255,
    "\u00a0no-break",
    "\ufeffmark",
    "\u202eright to left",
]


@pytest.mark.fault(31, 32)
def test_hard_names_on_long_paths_arrive_to_the_code_unit(bench: Bench, domain: Domain) -> None:
    administrator = User(domain, "Administrator", "")
    side = connect(bench.tickets.endpoint("src", "/", user=administrator))

    async def make() -> None:
        deep = bench.source.name
        for level in range(12):
            deep += "\\" + f"level {level} " + "x" * 40
            await made(deep, CreateOption.DIRECTORY_FILE)
        for name in HARD_NAMES:
            for parent in (bench.source.name, deep):
                await made(f"{parent}\\{name}", CreateOption.NON_DIRECTORY_FILE)

    async def made(path: str, kind: int) -> None:
        opening = open_request(path, access=2, disposition=Disposition.CREATE, options=kind)
        replies = await side.channel.session.call(opening, close_request())
        assert replies[0].status == 0, path.encode("utf-8", "backslashreplace")

    async def names() -> set[str]:
        listed = await Share(seen.channel.session, bench.destination.name).list_directory("", "listing")
        return {entry.name for entry in listed if entry.name not in {".", ".."}}

    try:
        Driver([side.channel]).run(make())
    finally:
        side.channel.close()
    result = bench.copy()
    assert bench.watcher.failures == []
    assert result.counters.files.transferred == 2 * len(HARD_NAMES)
    assert compare(*bench.ends()).equal
    seen = connect(bench.tickets.endpoint("dst", "/"))
    try:
        assert set(HARD_NAMES) <= Driver([seen.channel]).run(names())
    finally:
        seen.channel.close()
    assert bench.copy().counters.files.transferred == 0


def test_a_destination_that_may_not_be_written_is_named_before_anything_is_tried(bench: Bench) -> None:
    bench.source.seed([Wanted("a/f", size=1), Wanted("b", size=1)])
    source = bench.tickets.endpoint("src", f"{bench.source.path}/a")
    with bench.source.domain.directory("src") as elsewhere, pytest.raises(EngineError) as caught:
        bench.copy(ends=(source, bench.tickets.endpoint("src", elsewhere.path)))
    assert caught.value.reason == "AccessDenied"
    assert bench.watcher.failures == []
