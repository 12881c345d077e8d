"""Files with several names: told by default, and names of one copy with `hardLinks: Preserve`."""

from __future__ import annotations

import pytest
from lab.fake_server import Node, Request, descriptor, file, folder
from lab.fake_server.azure_files import AzureFiles
from lab.fake_server.windows_server_2022 import WindowsServer2022
from lab.fake_server.world import BIG, World, refuse
from tests.unit.engine.test_sharded import copy_shards, finish, pieces_of

from smbferry_engine.plan.mark import mark_of
from smbferry_engine.plan.shard import Cut
from smbferry_engine.run import hard_links
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import CompareBy, DeletedFiles, HardLinks, OverwriteMode, SecurityDescriptors, TransferMode
from smbferry_words.run import NotCarriedKind

TIME = 133_000_000_000_000_000
PRESERVE = {"hard_links": HardLinks.PRESERVE}
CONTENTS = pytest.mark.parametrize("content", [b"small", b"", BIG], ids=["small", "empty", "large"])


def linked(content: bytes = b"small", *, attributes: int = 0x20, **others: Node) -> Node:
    """A tree in which one file has three names, in two folders."""
    one = file(content, time=TIME, attributes=attributes)
    one.links, one.security = 3, {7: descriptor("ann", control=0x9004)}
    return folder(a=one, b=one, d=folder(c=one), single=file(b"single", time=TIME), **others)


def names_of(world: World) -> list[Node]:
    return [world.node(path) for path in ("a", "b", "d\\c")]


def told(world: World) -> list[tuple[str, str]]:
    assert all(item.what is NotCarriedKind.HARD_LINK for item in world.watcher.left)
    return sorted((item.path, item.reason) for item in world.watcher.left)


def links_made(world: World) -> int:
    sets = [r for r in world.destination.requests if r.command == Command.SET_INFO]
    return sum(r.body[2:4] == b"\x01\x0b" for r in sets)


@pytest.mark.fault(154)
@CONTENTS
def test_each_name_becomes_a_file_of_its_own_and_is_told(content: bytes) -> None:
    world = World(linked(content))
    world.transfer()
    assert world.reasons == []
    assert world.copied == world.original
    assert len({id(node) for node in names_of(world)}) == 3
    reason = "the file has 3 names, and each is copied as a file of its own (options.hardLinks)"
    assert told(world) == [(path, reason) for path in ("/a", "/b", "/d/c")]
    assert links_made(world) == 0


@pytest.mark.fault(154)
@CONTENTS
@pytest.mark.parametrize("descriptors", [SecurityDescriptors.NONE, SecurityDescriptors.OWNER_DACL])
def test_preserved_names_are_names_of_one_copy_whose_content_is_read_once(
    content: bytes, descriptors: SecurityDescriptors
) -> None:
    world = World(linked(content))
    run = world.transfer(**PRESERVE, security_descriptors=descriptors)
    assert (world.reasons, told(world)) == ([], [])
    assert world.copied == world.original
    first, *others = names_of(world)
    assert all(node is first for node in others)
    assert (first.links, first.times[2]) == (3, TIME)
    counters = run.tally.counters
    assert (counters.files.listed, counters.files.transferred) == (4, 4)
    assert counters.bytes.transferred == counters.bytes.to_transfer == len(content) + len(b"single")
    assert counters.bytes.written == counters.bytes.transferred
    assert not world.source.handles
    assert not world.destination.handles

    world.destination.requests.clear()
    again = world.transfer(**PRESERVE, security_descriptors=descriptors)
    assert (again.tally.counters.files.transferred, told(world)) == (0, [])


@CONTENTS
@pytest.mark.parametrize("attributes", [0x20, 0x21], ids=["plain", "read-only"])
def test_a_changed_file_is_replaced_under_all_of_its_names(content: bytes, attributes: int) -> None:
    world = World(linked(b"before", attributes=attributes))
    world.transfer(**PRESERVE)
    old = world.node("a")
    found = world.source.find("data\\a")
    assert found is not None
    found.data, found.times[2] = bytearray(content + b"!"), TIME + 10_000_000
    world.transfer(**PRESERVE)
    assert (world.reasons, told(world)) == ([], [])
    assert world.copied == world.original
    first, *others = names_of(world)
    assert first is not old
    assert all(node is first for node in others)
    assert (old.links, first.links, first.attributes) == (0, 3, attributes)


@pytest.mark.parametrize(
    "options",
    [{"transfer_mode": TransferMode.ALL}, {"compare_by": CompareBy.METADATA}, {"compare_by": CompareBy.CHECKSUM}],
    ids=str,
)
def test_whatever_compares_them_the_names_stay_together(options: dict[str, object]) -> None:
    world = World(linked(), personalities=(WindowsServer2022(), WindowsServer2022()))
    for _ in range(2):
        world.transfer(**PRESERVE, **options, security_descriptors=SecurityDescriptors.OWNER_DACL)
        first, *others = names_of(world)
        assert all(node is first for node in others)
        assert (world.reasons, told(world), first.links) == ([], [], 3)


def test_a_changed_access_list_is_that_of_all_names() -> None:
    world = World(linked())
    options = {**PRESERVE, "compare_by": CompareBy.METADATA, "security_descriptors": SecurityDescriptors.OWNER_DACL}
    world.transfer(**options)
    world.source.root.children["data"].children["a"].security = {7: descriptor("bob", control=0x9004)}
    world.transfer(**options)
    first, *others = names_of(world)
    assert all(node is first for node in others)
    assert first.descriptor("") == world.source.root.children["data"].children["a"].descriptor("")
    assert (world.reasons, told(world), first.links) == ([], [], 3)


def test_a_name_that_is_gone_is_deleted_and_the_others_stay() -> None:
    world = World(linked())
    world.transfer(**PRESERVE)
    del world.source.root.children["data"].children["b"]
    world.transfer(**PRESERVE, deleted_files=DeletedFiles.REMOVE, max_deletes=1)
    assert world.copied == world.original
    assert (world.node("a") is world.node("d\\c"), world.node("a").links) == (True, 2)


def test_a_name_outside_of_the_transfer_is_told() -> None:
    world = World(linked())
    world.transfer(**PRESERVE, exclude=("/d",))
    assert told(world) == [("/a", "the file has 3 names at the source, and this run met 2 of them")]
    assert world.node("a") is world.node("b")


def add_name(world: World, name: str) -> None:
    """Gives the source's file with three names a fourth."""
    data = world.source.root.children["data"]
    data.children[name] = data.children["a"]
    data.children["a"].links = 4


def test_a_name_that_is_added_later_is_copied_and_told() -> None:
    world = World(linked())
    world.transfer(**PRESERVE)
    add_name(world, "e")
    world.transfer(**PRESERVE)
    assert world.copied == world.original
    assert told(world) == [("/e", "the file has 4 names at the source, and this run met 1 of them")]


METADATA = {**PRESERVE, "compare_by": CompareBy.METADATA}


@CONTENTS
@pytest.mark.parametrize("first", [{"exclude": ("/b", "/d")}, {"hard_links": HardLinks.COPY}], ids=str)
def test_names_that_were_apart_are_brought_together_when_metadata_is_compared(
    content: bytes, first: dict[str, object]
) -> None:
    """As after a run that was stopped in between, or one without the option."""
    world = World(linked(content))
    world.transfer(**{**PRESERVE, **first})
    world.watcher.left.clear()
    counters = world.transfer(**METADATA).tally.counters
    one, *others = names_of(world)
    assert all(node is one for node in others)
    assert (world.reasons, told(world), world.copied, one.links) == ([], [], world.original, 3)
    assert counters.files.transferred == 2
    assert counters.bytes.written == 0
    assert counters.bytes.transferred == counters.bytes.to_transfer
    assert world.transfer(**METADATA).tally.counters.files.transferred == 0


def test_a_new_name_of_an_unchanged_file_is_added_to_its_copy_when_metadata_is_compared() -> None:
    world = World(linked())
    world.transfer(**PRESERVE)
    add_name(world, "0")
    world.transfer(**METADATA)
    assert (world.copied, told(world)) == (world.original, [])
    assert world.node("0") is world.node("a")


def test_names_at_the_destination_that_belong_to_other_files_stay_apart() -> None:
    """The same number, size and times: only the numbers at the destination tell that nothing is to be done."""
    one, other = file(b"same", time=TIME), file(b"same", time=TIME)
    world = World(folder(a=one, b=other))
    one.links = other.links = 2
    one.node_id, other.node_id = 77, 78
    world.transfer(**PRESERVE)
    world.transfer(**METADATA)
    assert world.node("a") is not world.node("b")
    assert world.reasons == []


def test_a_server_without_hard_links_gets_files_of_their_own() -> None:
    world = World(linked(), personalities=(None, AzureFiles()))
    world.transfer(**PRESERVE)
    assert world.reasons == []
    assert world.copied == world.original
    assert len({id(node) for node in names_of(world)}) == 3
    refused = "the file has 3 names, and this one became a file of its own: the destination's server refused to add a "
    assert sum(reason.startswith(refused) for _, reason in told(world)) == 2


@pytest.mark.parametrize("number", [0, 2**64 - 1])
def test_a_source_without_numbers_gets_files_of_their_own(number: int) -> None:
    tree = linked()
    world = World(tree)
    tree.children["a"].node_id = number
    world.transfer(**PRESERVE)
    assert (world.reasons, world.copied) == ([], world.original)
    assert len(told(world)) == 3


@pytest.mark.fault(155)
def test_two_files_with_one_number_keep_their_own_content() -> None:
    """The folders of a share may be of several file systems, which number their files each by itself."""
    one, other = file(b"one", time=TIME), file(b"two", time=TIME)
    world = World(folder(a=one, b=other))
    one.links = other.links = 2
    one.node_id = other.node_id = 77
    world.transfer(**PRESERVE)
    assert world.reasons == []
    assert world.copied == world.original
    assert any("it was changed after its other name was copied" in reason for _, reason in told(world))


@pytest.mark.fault(155)
@CONTENTS
def test_a_copy_that_somebody_replaces_meanwhile_gets_no_further_name(content: bytes) -> None:
    world = World(linked(content))
    copy = world.destination.root.children["copy"].children
    swapped: list[str] = []

    def swap(request: Request) -> None:
        """When a complete copy is opened once more, which is to be linked, put another file in its place."""
        name = (request.name or "").rpartition("\\")[2]
        complete = name in copy and copy[name].times[2] == TIME and bytes(copy[name].data or b"") == content
        if request.command == Command.CREATE and complete and not swapped:
            swapped.append(name)
            copy[name] = file(b"evil" + content)

    world.destination.faults.append(swap)
    world.transfer(**PRESERVE)
    evil = b"evil" + content
    holders = [path for path in ("a", "b", "d\\c") if bytes(world.node(path).data or b"") == evil]
    assert len(holders) == 1, "only the name that was replaced has the other content"
    assert any("its copy was replaced meanwhile" in reason for _, reason in told(world))


@CONTENTS
def test_if_the_first_name_fails_another_one_is_copied(content: bytes) -> None:
    world = World(linked(content))
    world.source.faults.append(refuse(Command.CREATE, NtStatus.ACCESS_DENIED, name="data\\a"))
    world.transfer(**PRESERVE)
    assert [path for path, _ in world.reasons] == ["/a"]
    assert world.node("b") is world.node("d\\c")
    assert told(world) == [("/b", "the file has 3 names at the source, and this run met 2 of them")]


@CONTENTS
def test_a_name_that_is_in_use_at_the_destination_is_a_failure_and_keeps_its_file(content: bytes) -> None:
    world = World(linked(content + b"new"), folder(d=folder(c=file(b"older"))))
    world.destination.hold("copy\\d\\c", access=3)
    world.transfer(**PRESERVE)
    assert [path for path, _ in world.reasons] == ["/d/c"]
    assert bytes(world.node("d\\c").data or b"") == b"older"
    assert world.node("a") is world.node("b")


def test_what_the_copy_lacks_is_told_for_each_name() -> None:
    world = World(linked())
    world.destination.faults.append(
        lambda r: (
            NtStatus.INVALID_OWNER if r.command == Command.SET_INFO and r.body[2] == 3 and r.body[12] == 3 else None
        )
    )
    for _ in range(2):
        world.watcher.failures.clear()
        world.transfer(**PRESERVE, security_descriptors=SecurityDescriptors.OWNER_DACL)
        assert {path for path, _ in world.reasons} >= {"/a", "/b", "/d/c"}
        assert world.node("a").times[2] == mark_of(TIME)


def test_files_that_exist_are_never_overwritten_and_new_names_are_linked() -> None:
    world = World(linked(), folder(a=file(b"theirs", time=TIME - 7)))
    world.transfer(**PRESERVE, overwrite_mode=OverwriteMode.NEVER)
    assert bytes(world.node("a").data or b"") == b"theirs"
    assert world.node("b") is world.node("d\\c")


@pytest.mark.fault(154)
@CONTENTS
@pytest.mark.parametrize("options", [{}, {"compare_by": CompareBy.METADATA}], ids=str)
def test_several_agents_leave_files_with_several_names_to_the_one_that_finishes(
    content: bytes, options: dict[str, object]
) -> None:
    world = World(linked(content))
    shards = copy_shards(world, [Cut("b"), Cut("d")], **PRESERVE, **options)
    assert "/a" not in world.copied
    assert "/single" in world.copied
    last = finish(world, pieces_of(shards), **PRESERVE, **options)
    first, *others = names_of(world)
    assert all(node is first for node in others)
    assert (world.reasons, told(world), world.copied) == ([], [], world.original)
    assert last.tally.counters.files.transferred == 3


@pytest.mark.parametrize("options", [{"transfer_mode": TransferMode.ALL}, {"compare_by": CompareBy.CHECKSUM}], ids=str)
def test_where_the_finish_trusts_size_and_time_each_name_is_copied_by_its_agent_and_told(
    options: dict[str, object],
) -> None:
    world = World(linked())
    shards = copy_shards(world, [Cut("b"), Cut("d")], **PRESERVE, **options)
    finish(world, pieces_of(shards), **PRESERVE, **options)
    assert (world.reasons, world.copied) == ([], world.original)
    assert [path for path, _ in told(world)] == ["/a", "/b", "/d/c"]


def test_a_file_that_several_agents_gathered_in_parts_is_told_as_well() -> None:
    world = World(linked(BIG))
    half = len(BIG) // 2
    shards = copy_shards(world, [Cut("a", half), Cut("b")])
    finish(world, pieces_of(shards))
    assert (world.reasons, world.copied) == ([], world.original)
    assert {path for path, _ in told(world)} == {"/a", "/b", "/d/c"}


def test_no_more_files_are_remembered_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hard_links, "MOST_FILES", 0)
    world = World(linked())
    world.transfer(**PRESERVE)
    assert (world.reasons, world.copied) == ([], world.original)
    assert len(told(world)) == 3


def test_a_dry_run_links_nothing() -> None:
    world = World(linked())
    counters = world.transfer(**PRESERVE, dry_run=True).tally.counters
    assert (counters.files.to_transfer, world.copied, told(world)) == (4, {}, [])


@pytest.mark.parametrize("after", range(0, 40, 3))
@pytest.mark.parametrize("side", [0, 1], ids=["source", "destination"])
@CONTENTS
def test_a_connection_that_is_lost_meanwhile_costs_nothing(content: bytes, after: int, side: int) -> None:
    world = World(linked(content))
    left = [after]

    def cut(_request: Request) -> None:
        left[0] -= 1
        world.links[side].lose = left[0] == -1

    (world.source, world.destination)[side].faults.append(cut)
    world.transfer(**PRESERVE)
    assert (world.reasons, world.copied) == ([], world.original)
    first, *others = names_of(world)
    assert all(node is first for node in others)
