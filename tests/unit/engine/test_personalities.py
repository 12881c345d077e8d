"""The fake server's personalities do what their sources say; how the engine meets it is each behavior's own test."""

import struct

import pytest
from lab.fake_server import FakeServer, Link, Node, Personality, drive, file, folder, make_session
from lab.fake_server.azure_files import AzureFiles
from lab.fake_server.ontap import Ontap
from lab.fake_server.personality import INFO_LENGTH_MISMATCH, INVALID_INFO_CLASS
from lab.fake_server.windows_server_2022 import WindowsServer2022, symlink, tiered_file
from lab.fake_server.world import BIG, World

from smbferry_engine.core.calls import (
    Reply,
    Request,
    close_request,
    list_request,
    open_request,
    query_size_request,
    read_request,
    rename_request,
    set_basic_request,
    sparse_request,
    write_request,
)
from smbferry_engine.runtime.tasks import Scheduler
from smbferry_engine.wire.create import decode_create
from smbferry_engine.wire.data import decode_read
from smbferry_engine.wire.directory import FULL, PLAIN
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.info import decode_size
from smbferry_engine.wire.status import NtStatus

EVERYTHING = 0x1F01FF
SECOND = 10_000_000


class Asked:
    """A server of one personality, and what a client gets of it."""

    def __init__(self, personality: Personality | None = None, credits_: int = 64, **nodes: Node) -> None:
        self.server = FakeServer(folder(**nodes), personality=personality)
        self.link = Link(self.server, make_session(credits_=credits_))

    def call(self, name: str, *requests: Request, open_reparse_point: bool = True) -> list[Reply]:
        opening = open_request(name, access=EVERYTHING, open_reparse_point=open_reparse_point)

        async def main() -> list[Reply]:
            return await self.link.session.call(opening, *requests, close_request(query_attributes=True))

        replies: list[Reply] = drive(Scheduler(), main(), self.link)
        return replies

    def statuses(self, name: str, *requests: Request) -> list[int]:
        return [reply.status for reply in self.call(name, *requests)]


def test_windows_denies_a_rename_over_a_target_that_is_open_and_a_buffer_that_is_too_small() -> None:
    asked = Asked(WindowsServer2022(), report=file(b"old"), staging=file(b"new"))
    over = rename_request("report", replace=True)
    other = asked.server.hold("report", share=7)
    assert asked.statuses("staging", over)[1] == NtStatus.ACCESS_DENIED
    asked.server.release(other)
    assert asked.statuses("staging", over)[1] == 0
    assert asked.server.tree() == {"/report": b"new"}
    small = rename_request("r", replace=False).body
    shorter = Request(Command.SET_INFO, small[:4] + struct.pack("<I", 22) + small[8:54])
    assert asked.statuses("report", shorter)[1] == INFO_LENGTH_MISMATCH


def test_windows_gives_what_a_stub_stands_for_and_leaves_a_symbolic_link_to_the_client() -> None:
    asked = Asked(WindowsServer2022(), link=symlink(), stub=tiered_file(b"content"))
    opened, read, _ = asked.call("stub", read_request(0, 7), open_reparse_point=False)
    assert decode_create(opened.message).attributes & 0x400
    start, length = decode_read(read.message, 0, len(read.message))
    assert bytes(read.message[start : start + length]) == b"content"
    assert bytes(asked.call("stub", read_request(0, 7))[1].message[start : start + length]) == bytes(7)
    assert asked.call("link", open_reparse_point=False)[0].status == NtStatus.STOPPED_ON_SYMLINK


def test_windows_on_fat_keeps_times_to_two_seconds() -> None:
    asked = Asked(WindowsServer2022(fat=True), f=file())
    asked.call("f", set_basic_request(write=1_001 * SECOND + 7))
    node = asked.server.find("f")
    assert node is not None
    assert node.times[2] == 1_000 * SECOND


@pytest.mark.parametrize("most", [4, 128])
def test_ontap_grants_no_more_credits_than_it_is_set_to(most: int) -> None:
    asked = Asked(Ontap(max_credits=most), credits_=most, f=file())
    for _ in range(3):
        asked.call("f")
    assert asked.link.session.credits.total == most


def test_a_folder_with_a_quota_is_full_while_others_have_room_and_tells_of_its_own_space() -> None:
    asked = Asked(Ontap(), tree=folder(f=file(bytes(60_000))), g=file())
    asked.server.quotas["tree"] = 16 * 4096
    write = write_request(60_000, bytes(8_000))
    assert asked.statuses("tree\\f", write)[1] == NtStatus.DISK_FULL
    assert asked.statuses("g", write)[1] == 0
    assert decode_size(asked.call("tree", query_size_request())[1].message).free == 4096


def test_azure_files_has_no_sparse_files_and_lacks_a_class_of_listing() -> None:
    asked = Asked(AzureFiles(), f=file())
    assert asked.statuses("f", sparse_request())[1] == NtStatus.INVALID_DEVICE_REQUEST
    assert asked.statuses("", list_request(PLAIN, 4096))[1] == INVALID_INFO_CLASS
    assert asked.statuses("", list_request(FULL, 4096))[1] == 0


def test_a_file_that_somebody_does_not_share_can_not_be_opened() -> None:
    asked = Asked(f=file())
    other = asked.server.hold("f", access=2, share=1)
    assert asked.statuses("f")[0] == NtStatus.SHARING_VIOLATION
    asked.server.release(other)
    assert asked.statuses("f")[0] == 0


@pytest.mark.parametrize("personality", [WindowsServer2022(), Ontap()], ids=["windows", "ontap"])
def test_a_tree_comes_to_a_server_of_each_product(personality: Personality) -> None:
    world = World(folder(big=file(BIG), small=file(b"small"), sub=folder(f=file())), personalities=(None, personality))
    world.transfer()
    assert (world.copied, world.reasons) == (world.original, [])
