"""A survey of a source: what it counts, what it estimates, and that it leaves nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.fake_server import Node, descriptor, drive, file, folder
from lab.fake_server.nodes import DOMAIN
from lab.fake_server.windows_server_2022 import WindowsServer2022
from lab.fake_server.world import Watcher, World, refuse

from smbferry_engine.errors import EngineError
from smbferry_engine.model import Counters, FileFailure, Options
from smbferry_engine.operations.conduct import Asked
from smbferry_engine.operations.control import UNCONTROLLED
from smbferry_engine.operations.survey import Site, look_through
from smbferry_engine.plan.census import DAYS, LARGEST, Census
from smbferry_engine.plan.filters import Filters
from smbferry_engine.run.scope import WholeTree
from smbferry_engine.run.tally import Phases
from smbferry_engine.session.reconnect import Recovery
from smbferry_engine.share.ownership import Ownership
from smbferry_engine.share.share import Share
from smbferry_engine.times import UNITS_PER_SECOND
from smbferry_engine.wire.directory import FULL
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.survey import Basis, Trait

if TYPE_CHECKING:
    from collections.abc import Mapping

    from smbferry_engine.plan.survey import Survey

DAY = 24 * 3600 * UNITS_PER_SECOND
NOW = 10_000 * DAY
JUNCTION, DEDUPLICATED = 0xA0000003, 0x80000013
WRITES = {Command.WRITE, Command.SET_INFO}


def survey(world: World, *, copies: bool = False, base: str = "", **options: object) -> Survey:
    chosen = Options(**options)  # type: ignore[arg-type]
    shares = [Share(world.links[0].session, "data", entry_class=FULL)]
    if copies:
        shares.append(Share(world.links[1].session, "copy"))
    counters = Counters()
    site = Site(
        shares=shares,
        asked=Asked(chosen, Filters(chosen.include, chosen.exclude), world.watcher, WholeTree()),
        control=UNCONTROLLED,
        scheduler=world.scheduler,
        recovery=Recovery(world.scheduler, counters, world.broken, world.restore),
        counters=counters,
        census=Census(NOW, base),
    )
    found: Survey = drive(world.scheduler, look_through(site, Phases(world.watcher)), *world.links)
    return found


def traits(found: Survey) -> Mapping[Trait, tuple[int, tuple[str, ...]]]:
    return {finding.trait: (finding.count, finding.paths) for finding in found.findings}


def named(nodes: dict[str, Node]) -> Node:
    return Node(None, nodes, 0)


def test_files_folders_and_bytes_are_those_of_the_tree() -> None:
    found = survey(World(folder(a=folder(b=folder(c=file(b"123"))), d=file(b""), e=file(bytes(2_000)))))
    tree = found.tree
    assert (tree.files, tree.directories, tree.bytes, tree.depth) == (3, 3, 2_003, 2)
    assert {interval.least: interval.amount for interval in tree.sizes if interval.amount.files} == {
        0: (1, 0), 1: (1, 3), 1024: (1, 2_000),
    }  # fmt: skip
    assert [one.path for one in tree.largest] == ["/e", "/a/b/c", "/d"]
    assert found.sampled == 6


def test_only_the_largest_files_are_named() -> None:
    found = survey(World(named({f"f{size}": file(bytes(size)) for size in range(30)})))
    assert [one.bytes for one in found.tree.largest] == list(range(29, 29 - LARGEST, -1))


@pytest.mark.parametrize(
    ("node", "trait"),
    [
        pytest.param(Node(bytearray(b"x"), sparse=True), Trait.SPARSE, id="sparse"),
        pytest.param(file(b"x", attributes=0x820), Trait.COMPRESSED, id="compressed"),
        pytest.param(file(b"x", attributes=0x4020), Trait.ENCRYPTED, id="encrypted by EFS"),
        pytest.param(file(b"x", attributes=0x1020), Trait.OFFLINE, id="offline"),
        pytest.param(Node(bytearray(b"x"), reparse=True, reparse_tag=JUNCTION), Trait.LINK, id="a link"),
        pytest.param(Node(bytearray(b"x"), links=2), Trait.HARD_LINK, id="two names"),
        pytest.param(file(b"x").beside({"Zone.Identifier": b"3"}), Trait.STREAM, id="a stream"),
        pytest.param(folder().beside({"of a folder": b"3"}), Trait.STREAM, id="a stream of a folder"),
    ],
)
def test_a_trait_of_a_file_is_found(node: Node, trait: Trait) -> None:
    world = World(folder(odd=node, plain=file(b"x")), personalities=(WindowsServer2022(), None))
    assert traits(survey(world)) == {trait: (1, ("/odd",))}


def test_reparse_points_are_counted_by_tag() -> None:
    found = survey(
        World(
            folder(
                a=Node(None, reparse=True, reparse_tag=JUNCTION),
                b=Node(None, reparse=True, reparse_tag=JUNCTION),
                c=Node(bytearray(b"x"), reparse=True, reparse_tag=DEDUPLICATED),
            )
        )
    )
    assert found.tags == ((JUNCTION, 2), (DEDUPLICATED, 1))
    assert (found.tree.files, found.tree.directories) == (1, 1)
    assert set(traits(found)) == {Trait.LINK}
    assert found.forecast is not None, "a deduplicated file can be read"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("Report", "REPORT", "report"), {Trait.CASE_COLLISION: (2, ("/Report", "/report"))}),
        (("ends in a dot.", "fine"), {Trait.REFUSED_NAME: (1, ("/ends in a dot.",))}),
        (("nul.txt", "fine"), {Trait.REFUSED_NAME: (1, ("/nul.txt",))}),
        ((".smbferry-00000000-0000000000000000", "fine"), {}),
    ],
)
def test_names_that_cannot_be_copied_are_found(names: tuple[str, ...], expected: object) -> None:
    world = World(named({name: file(b"x") for name in names}))
    world.source.fold = lambda name: name
    found = survey(world)
    assert traits(found) == expected
    assert found.tree.files == 1


def test_paths_that_many_programs_cannot_open_are_found() -> None:
    deep = named({"f" * 200: named({"g" * 60: file(b"x"), "short": file(b"x")})})
    assert set(traits(survey(World(deep)))) == {Trait.LONG_PATH}
    assert traits(survey(World(named({"f" * 200: named({"g" * 54: file(b"x")})})))) == {}
    below = survey(World(named({"f" * 200: named({"g" * 54: file(b"x")})})), base="b" * 10)
    assert traits(below)[Trait.LONG_PATH][0] == 1


def test_what_the_account_may_not_open_is_found() -> None:
    world = World(folder(shut=folder(f=file(b"x")), denied=file(b"x"), held=file(b"x"), fine=file(b"x")))

    def fault(request: object) -> int | None:
        name = getattr(request, "name", None) or ""
        return NtStatus.ACCESS_DENIED if name.endswith(("shut", "denied")) else None

    world.source.faults.append(fault)
    world.source.hold("data\\held")
    found = traits(survey(world))
    assert found == {
        Trait.DENIED_FOLDER: (1, ("/shut",)),
        Trait.DENIED: (2, found[Trait.DENIED][1]),
        Trait.LOCKED: (1, ("/held",)),
    }
    assert set(found[Trait.DENIED][1]) == {"/shut", "/denied"}


def test_a_folder_that_is_its_own_parent_ends_the_walk() -> None:
    top = folder(f=file(b"f"))
    world = World(top)
    top.children["loop"] = top
    found = survey(world)
    assert traits(found)[Trait.FOLDER_LOOP] == (1, ("/loop",))
    assert found.tree.files == 1


def test_domains_of_accounts_are_counted() -> None:
    sid = bytes([1, 5, 0, 0, 0, 0, 0, 5]) + b"".join(n.to_bytes(4, "little") for n in (21, 1, 2, 3, 1105))
    entry = bytes([0, 0]) + (8 + len(sid)).to_bytes(2, "little") + bytes(4) + sid
    secured = file(b"x")
    secured.set_descriptor(7, descriptor("somebody", entries=(entry,)))
    found = survey(World(folder(a=secured, b=file(b"x"))))
    assert [(one.number, one.sid) for one in found.domains if one.domain == "S-1-5-21-1-2-3"] == [
        (1, "S-1-5-21-1-2-3-1105")
    ]


@pytest.mark.parametrize(
    ("numbers", "authority", "copies", "expected"),
    [
        pytest.param((1, 1000), 22, False, Trait.LOCAL_SID, id="a Unix user of Samba"),
        pytest.param((88, 1, 1000), 5, False, Trait.LOCAL_SID, id="a Unix user of Windows"),
        pytest.param((21, 9, 9, 9, 1105), 5, False, None, id="the destination's domain is not known"),
        pytest.param((21, 9, 9, 9, 1105), 5, True, Trait.FOREIGN_SID, id="another domain"),
        pytest.param((21, *DOMAIN, 1105), 5, True, None, id="the domain of the destination's account"),
        pytest.param((32, 544), 5, True, None, id="a group that every server has"),
    ],
)
def test_accounts_that_the_destination_may_not_know_are_found(
    numbers: tuple[int, ...], authority: int, copies: bool, expected: Trait | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sid = bytes([1, len(numbers)]) + authority.to_bytes(6, "big") + b"".join(n.to_bytes(4, "little") for n in numbers)
    own = bytes([1, 5, 0, 0, 0, 0, 0, 5]) + b"".join(n.to_bytes(4, "little") for n in (21, *DOMAIN, 500))
    secured = file(b"x")
    secured.set_descriptor(
        7, descriptor("x", entries=(bytes([0, 0]) + (8 + len(sid)).to_bytes(2, "little") + bytes(4) + sid,))
    )

    async def account(_self: Ownership, _path: str) -> bytes:
        return own

    monkeypatch.setattr(Ownership, "own", account)
    found = survey(World(folder(f=secured)), copies=copies)
    assert {one.trait for one in found.findings} == ({expected} if expected else set())


def test_ages_and_days_are_those_of_the_last_write() -> None:
    def written(days: float, *, changed: float | None = None) -> Node:
        node = file(b"x", time=NOW - int(days * DAY))
        node.times[3] = NOW - int((days if changed is None else changed) * DAY)
        return node

    found = survey(World(folder(a=written(0.5), b=written(2.5), c=written(40, changed=2.5), d=written(4_000))))
    assert {interval.least: interval.amount.files for interval in found.tree.ages if interval.amount.files} == {
        0: 1, 1: 1, 30: 1, 3 * 365: 1,
    }  # fmt: skip
    days = [(day.ago, day.written.files, day.changed.files) for day in found.tree.days]
    assert len(days) == DAYS
    assert [day for day in days if day[1:] != (0, 0)] == [(0, 1, 1), (2, 1, 2)]


def test_filters_choose_what_is_counted() -> None:
    world = World(folder(a=folder(f=file(b"x"), g=file(b"x")), b=folder(f=file(b"x"))))
    tree = survey(world, include=("/a",), exclude=("/a/g",)).tree
    assert (tree.files, tree.directories) == (1, 1)


def test_nothing_is_written_anywhere() -> None:
    world = World(folder(**{f"f{number}": file(bytes(number)) for number in range(200)}))
    found = survey(world)
    assert found.forecast is not None
    assert found.forecast.basis is Basis.READ
    assert found.forecast.measured.files == 168  # a few were for warming up
    assert world.destination.requests == []
    assert not WRITES & {request.command for request in world.source.requests}


def test_content_on_another_tier_is_never_read() -> None:
    world = World(
        folder(
            a=file(b"x", attributes=0x1020),
            b=file(b"x", attributes=0x400020),
            c=Node(bytearray(b"x"), reparse=True, reparse_tag=0x9000001A, attributes=0x420020),
        )
    )
    found = survey(world)
    assert traits(found)[Trait.OFFLINE][0] == 3
    assert not any(request.command == Command.READ for request in world.source.requests)
    assert found.forecast is None


def test_a_measured_copy_leaves_the_destination_as_it_was() -> None:
    big = file(bytes(range(256)) * 10_000)
    world = World(
        folder(a=folder(**{f"f{number}": file(bytes(number)) for number in range(200)}), big=big),
        folder(there=file(b"old")),
    )
    found = survey(world, copies=True)
    assert world.copied == {"/there": b"old"}
    assert world.destination.handles == {}
    assert world.watcher.failures == []
    assert found.forecast is not None
    assert found.forecast.basis is Basis.COPY
    assert found.forecast.measured.files == 169
    assert found.forecast.measured.bytes > 2_560_000


def test_nobody_else_may_open_a_sample() -> None:
    world = World(folder(f=file(b"secret")))
    seen: list[bytes] = []

    def fault(request: object) -> int | None:
        if getattr(request, "command", None) == Command.CREATE and b"SecD" in getattr(request, "body", b""):
            seen.append(request.body)  # type: ignore[attr-defined]
        return None

    world.destination.faults.append(fault)
    survey(world, copies=True)
    assert seen, "the folder of the samples has a descriptor of its own"


def test_what_a_survey_could_not_delete_is_told_and_the_next_run_deletes_it() -> None:
    world = World(folder(f=file(b"x")))
    asked: list[int] = []

    def fault(request: object) -> int | None:
        # FileDispositionInformation (MS-FSCC 2.4.11): deletions.
        body = getattr(request, "body", b"")
        if getattr(request, "command", None) == Command.SET_INFO and body[3] == 13:
            asked.append(1)
            return NtStatus.SHARING_VIOLATION
        return None

    world.destination.faults.append(fault)
    survey(world, copies=True)
    assert asked
    (failure,) = world.watcher.failures
    assert isinstance(failure, FileFailure)
    assert (failure.phase, failure.reason) == ("Delete", "SharingViolation")
    assert world.copied != {}
    world.destination.faults.clear()
    world.watcher = Watcher()
    world.transfer()
    assert world.copied == {"/f": b"x"}
    assert world.watcher.failures == []


def test_a_root_that_cannot_be_listed_ends_the_survey() -> None:
    world = World(folder(f=file(b"x")))
    world.source.faults.append(refuse(Command.QUERY_DIRECTORY, NtStatus.ACCESS_DENIED))
    with pytest.raises(EngineError, match="AccessDenied"):
        survey(world)
