"""The folder that a side is about: what it must be before anything is done in it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.share.roots import check_root, check_writable
from smbferry_engine.wire.attributes import DIRECTORY, REPARSE_POINT


class OneFolder:
    """A share with this one answer to opening its root."""

    root = "projects\\2026"
    snapshot = 0

    def __init__(self, answer: int | FileError) -> None:
        self._answer = answer

    async def open_root(self, *, query_maximal_access: bool = False, access: int = 0) -> Any:
        assert query_maximal_access or access
        if isinstance(self._answer, FileError):
            raise self._answer
        return SimpleNamespace(attributes=self._answer)

    async def look_up(self, path: str) -> None:
        """No listing tells a tag."""
        assert not path


def look(answer: int | FileError) -> Any:
    with pytest.raises(StopIteration) as ended:
        check_root(OneFolder(answer), "source").send(None)  # type: ignore[arg-type]  # no more of a share is asked
    return ended.value.value


@pytest.mark.verdict("Folder is a link")
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (DIRECTORY | REPARSE_POINT, "PathIsReparsePoint"),
        (0, "PathNotFound"),
        (FileError(FileReason.FILE_VANISHED, "it is gone"), "PathNotFound"),
        (FileError(FileReason.ACCESS_DENIED, "the server denied access"), "AccessDenied"),
    ],
)
def test_what_is_no_folder_of_ours_is_named(answer: int | FileError, reason: str) -> None:
    with pytest.raises(EngineError) as caught:
        check_root(OneFolder(answer), "source").send(None)  # type: ignore[arg-type]  # no more of a share is asked
    assert caught.value.reason == reason
    assert "source folder /projects/2026" in caught.value.message


def test_a_folder_is_taken() -> None:
    assert look(DIRECTORY).attributes == DIRECTORY


def test_a_destination_that_lets_nobody_create_files_is_named() -> None:
    with pytest.raises(EngineError) as caught:
        check_writable(
            OneFolder(FileError(FileReason.ACCESS_DENIED, "no")),  # type: ignore[arg-type]  # no more of a share is asked
            0x120089,
        ).send(None)
    assert caught.value.reason == "AccessDenied"
    assert "0x00120089" in caught.value.message


@pytest.mark.fault(61)
def test_a_destination_where_a_privilege_lets_the_account_create_files_is_taken() -> None:
    with pytest.raises(StopIteration):
        check_writable(OneFolder(0), 0x120089).send(None)  # type: ignore[arg-type]  # no more of a share is asked
