"""Names as SMB compares them: the table of upper cases, spellings that are carried over, lengths in UTF-16 units."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.fake_server import Node, file, folder
from lab.fake_server.world import BIG, World
from tests.unit.engine.directory_entries import item

from smbferry_engine.paths import case_key, name_problem, units
from smbferry_engine.plan.pairing import pair
from smbferry_engine.upcase import upcase
from smbferry_words.options import CompareBy, DeletedFiles, OverwriteMode, VerifyMode

# Pairs that Unicode, and so Python, takes for one letter, and Windows does not.
APART = [
    "\u0131I", "\u00b5\u039c", "\u03c2\u03a3", "\u017fS", "\u01c5\u01c4", "\u03d0\u0392", "\u03d1\u0398",
    "\u03d5\u03a6", "\u03d6\u03a0", "\u03f0\u039a", "\u03f1\u03a1", "\u03f5\u0395", "\u1e9b\u1e60",
    "\u10d0\u1c90", "\uab70\u13a0", "\U00010428\U00010400",
]  # fmt: skip
# Letters of which Unicode writes the upper case as two: the 27 that Windows maps to one.
GREEK = [(0x1F80 + at, 0x1F88 + at) for at in range(8)] + [(0x1F90 + at, 0x1F98 + at) for at in range(8)]
GREEK += [(0x1FA0 + at, 0x1FA8 + at) for at in range(8)] + [(0x1FB3, 0x1FBC), (0x1FC3, 0x1FCC), (0x1FF3, 0x1FFC)]
ANY = st.text(st.characters(exclude_categories=()))
LIMIT = {"deleted_files": DeletedFiles.REMOVE, "max_deletes": "100%"}


@pytest.mark.fault(75)
def test_the_table_is_the_one_that_windows_writes_on_its_volumes() -> None:
    table = b"".join(upcase(chr(unit)).encode("utf-16-le", "surrogatepass") for unit in range(0x10000))
    assert len(table) == 2 * 0x10000
    # ntfs-3g gives it for Windows 7 and 8: libntfs-3g/unistr.c, ntfs_upcase_table_build().
    assert hashlib.md5(table, usedforsecurity=False).hexdigest() == "7ff498a44e45e77374cc7c962b1b92f2"


@pytest.mark.parametrize("letters", APART)
def test_letters_that_windows_tells_apart_are_two_names(letters: str) -> None:
    assert case_key(letters[0]) != case_key(letters[-1])


@pytest.mark.parametrize(("lower", "upper"), GREEK, ids=lambda unit: f"{unit:04X}")
def test_greek_letters_with_an_iota_are_one_name(lower: int, upper: int) -> None:
    assert case_key(chr(lower)) == case_key(chr(upper)) == chr(upper)


@given(ANY)
def test_folding_goes_unit_by_unit(name: str) -> None:
    folded = case_key(name)
    assert len(folded) == len(name)
    assert case_key(folded) == folded
    assert folded == "".join(case_key(unit) for unit in name)
    assert name.isascii() <= (folded == name.upper())


@given(ANY, ANY)
def test_a_destination_is_claimed_more_widely_than_windows_folds(one: str, other: str) -> None:
    """The operator's claims and the agents' go by `str.casefold`: a doubt there is decided for waiting."""
    for first, second in ((one, other), (one, case_key(one)), (one, one.lower())):
        if case_key(first) == case_key(second):
            assert first.casefold() == second.casefold()


def test_every_letter_that_windows_folds_is_claimed_as_one() -> None:
    units_ = (chr(unit) for unit in range(0x10000) if not 0xD800 <= unit < 0xE000)
    assert [unit for unit in units_ if unit.casefold() != case_key(unit).casefold()] == []


@pytest.mark.parametrize(
    ("name", "fine"), [("😀" * 127, True), ("😀" * 128, False), ("a" * 255, True), ("ä" * 256, False)]
)
def test_a_name_has_at_most_255_units(name: str, *, fine: bool) -> None:
    assert (name_problem(name) is None) is fine
    assert units("a😀\ud83d") == 4


@pytest.mark.fault(77)
def test_a_path_of_astral_names_that_is_too_long_is_one_failure() -> None:
    inner = folder(f=file(b"f"))
    for _ in range(130):
        inner = Node(None, {"😀" * 127: inner}, 0)
    world = World(Node(None, {"ok": file(b"ok"), **inner.children}, 0))
    world.transfer()
    assert [reason for _, reason in world.reasons] == ["NameNotRepresentable"]
    assert world.copied["/ok"] == b"ok"


@pytest.mark.fault(75)
@pytest.mark.parametrize(("lower", "upper"), [GREEK[0], GREEK[26]], ids=lambda unit: f"{unit:04X}")
def test_what_landed_is_not_deleted_under_another_spelling(lower: int, upper: int) -> None:
    world = World(folder(**{chr(lower): file(b"new", time=9)}), folder(**{chr(upper): file(b"old")}))
    world.transfer(**LIMIT)
    assert world.copied == {f"/{chr(lower)}": b"new"}
    assert world.reasons == []


def test_two_names_that_windows_tells_apart_both_arrive() -> None:
    names = {"\u0131": file(b"one"), "I": file(b"two"), "\u00b5": file(b"three"), "\u039c": file(b"four")}
    world = World(Node(None, names, 0))
    world.transfer()
    assert world.copied == world.original
    assert world.reasons == []


@pytest.mark.fault(76)
@pytest.mark.parametrize("compare_by", CompareBy)
@pytest.mark.parametrize("verify", VerifyMode)
def test_a_name_of_which_only_the_case_changed_is_renamed(compare_by: CompareBy, verify: VerifyMode) -> None:
    def tree(first: str, second: str) -> Node:
        return folder(**{first: file(b"same"), second: folder(inside=file(b"inside"))})

    world = World(tree("README", "Ärger"), tree("readme", "äRGER"))
    run = world.transfer(compare_by=compare_by, verify_mode=verify)
    assert world.copied == world.original
    assert world.reasons == []
    files, folders = run.tally.counters.files, run.tally.counters.directories
    assert (files.renamed, folders.renamed, files.transferred) == (1, 1, 0)
    again = world.transfer(compare_by=compare_by, verify_mode=verify)
    assert (again.tally.counters.files.renamed, again.tally.counters.directories.renamed) == (0, 0)


def test_a_file_that_changed_is_replaced_under_its_new_spelling() -> None:
    world = World(folder(README=file(b"new", time=9)), folder(readme=file(b"old")))
    run = world.transfer(**LIMIT)
    assert world.copied == {"/README": b"new"}
    assert (
        run.tally.counters.files.renamed,
        run.tally.counters.files.transferred,
        run.tally.counters.files.deleted,
    ) == (1, 1, 0)


@pytest.mark.parametrize(
    "options",
    [{"overwrite_mode": OverwriteMode.NEVER}, {"overwrite_mode": OverwriteMode.IF_NEWER}, {"dry_run": True}],
)
def test_a_spelling_stays_where_nothing_may_be_written(options: dict[str, object]) -> None:
    world = World(folder(README=file(b"same")), folder(readme=file(b"same")))
    run = world.transfer(**options)
    assert list(world.copied) == ["/readme"]
    assert run.tally.counters.files.renamed == ("dry_run" in options)
    assert world.reasons == []


@pytest.mark.fault(75)
def test_names_that_only_the_destination_tells_apart_are_neither_overwritten_nor_deleted() -> None:
    there = folder(readme=file(b"other"), README=file(b"old"), Notes=file(b"notes"))
    world = World(folder(README=file(b"new", time=9), notes=file(b"notes")), there)
    world.destination.fold = str
    world.transfer(**LIMIT)
    assert world.copied == {"/readme": b"other", "/README": b"new", "/notes": b"notes"}
    assert world.reasons == [("/readme", "CaseCollision")]


@pytest.mark.parametrize("size", [5, len(BIG)])
def test_a_name_that_only_the_destinations_server_takes_for_another_replaces_nothing(size: int) -> None:
    world = World(folder(strasse=file(BIG[:size], time=9), ok=file(b"ok")), folder(straße=file(b"other")))
    world.destination.fold = str.casefold
    for _ in range(2):
        world.watcher.failures.clear()
        world.transfer(**LIMIT)
        assert world.copied == {"/straße": b"other", "/ok": b"ok"}
        assert world.reasons == [("/strasse", "CaseCollision")]


@pytest.mark.parametrize("order", [1, -1])
def test_the_counterpart_is_spelled_alike_where_there_are_several(order: int) -> None:
    there = [item("readme"), item("README"), item("Readme")][::order]
    result = pair([item("Readme")], there)
    assert [(one.name, other and other.name) for one, other in result.both] == [("Readme", "Readme")]
    assert sorted(entry.name for entry, _, _ in result.twins) == ["README", "readme"]
    assert result.only_destination == []
