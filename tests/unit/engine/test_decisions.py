"""What is decided before anything is done: options, files, folders, links, and pairs of listings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.engine.directory_entries import item

from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.model import Endpoint, Options
from smbferry_engine.operations.conduct import check_options
from smbferry_engine.paths import (
    case_key,
    is_staging_name,
    name_problem,
    plain_keys,
)
from smbferry_engine.plan.decide import (
    Action,
    decide_directory,
    decide_file,
    decide_reparse_point,
    directory_needs_metadata,
    unchanged,
)
from smbferry_engine.plan.pairing import pair
from smbferry_engine.share.replies import status_error
from smbferry_engine.times import settable, to_datetime
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import CompareBy, DeletedFiles, Links, OverwriteMode, Preservation, TransferMode

FOLDER, LINK = 0x10, 0x400


NO_TIMES = {"timestamps": Preservation.NONE}
NO_ATTRIBUTES = {"attributes": Preservation.NONE}
CHECKSUM = {"compare_by": CompareBy.CHECKSUM}
IF_NEWER = {"overwrite_mode": OverwriteMode.IF_NEWER}


@pytest.mark.parametrize(
    ("source", "destination", "options", "action"),
    [
        (item(), None, {}, Action.CREATE),
        (item(), None, {"overwrite_mode": OverwriteMode.NEVER}, Action.CREATE),
        (item(), item(), {}, Action.SKIP),
        (item(size=6), item(), {}, Action.REPLACE),
        (item(size=6), item(), CHECKSUM, Action.REPLACE),
        (item(time=101), item(), {}, Action.REPLACE),
        (item(time=99), item(), {}, Action.REPLACE),
        (item(time=99), item(), NO_TIMES, Action.SKIP),
        (item(time=101), item(), NO_TIMES, Action.REPLACE),
        (item(time=101), item(), CHECKSUM, Action.COMPARE),
        (item(), item(), CHECKSUM, Action.COMPARE),
        (item(), item(), {"transfer_mode": TransferMode.ALL}, Action.REPLACE),
        (item(size=6), item(), {"overwrite_mode": OverwriteMode.NEVER}, Action.SKIP),
        (item(attributes=0x21), item(), {}, Action.METADATA),
        (item(attributes=0x21), item(), NO_ATTRIBUTES, Action.SKIP),
        (item(attributes=0x2020), item(), {}, Action.SKIP),
        (item(), item(attributes=FOLDER), {}, Action.FAIL),
        (item(), item(attributes=0x20 | LINK), {}, Action.REPLACE),
    ],
)
def test_a_file_is_decided_by_an_ordered_chain(
    source: DirectoryEntry, destination: DirectoryEntry | None, options: dict[str, object], action: Action
) -> None:
    assert decide_file(source, destination, Options(**options)).action is action  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("time", "window", "options", "action"),
    [
        (99, 0, {}, Action.SKIP),
        (100, 0, {}, Action.SKIP),
        (101, 0, {}, Action.REPLACE),
        (110, 10, {}, Action.SKIP),
        (111, 10, {}, Action.REPLACE),
        (101, 0, NO_TIMES, Action.REPLACE),
        (100, 0, NO_TIMES, Action.SKIP),
        (99, 0, {"transfer_mode": TransferMode.ALL}, Action.SKIP),
        (101, 0, {"transfer_mode": TransferMode.ALL}, Action.REPLACE),
        (99, 0, CHECKSUM, Action.SKIP),
        (100, 0, CHECKSUM, Action.SKIP),
    ],
)
@pytest.mark.parametrize("there", [item(), item(attributes=0x21), item(size=6), item(attributes=0x20 | LINK)])
def test_if_newer_a_file_is_replaced_by_one_that_is_newer_by_more_than_the_window_and_by_no_other(
    time: int, window: int, options: dict[str, object], action: Action, there: DirectoryEntry
) -> None:
    chosen = Options(**{**IF_NEWER, "modify_window": window, **options})  # type: ignore[arg-type]
    assert decide_file(item(time=time), there, chosen).action is action


def test_if_newer_content_decides_about_a_newer_file_of_the_same_size_where_that_is_asked_for() -> None:
    chosen = Options(**IF_NEWER, **CHECKSUM)  # type: ignore[arg-type]
    assert decide_file(item(time=101), item(), chosen).action is Action.COMPARE
    assert decide_file(item(size=6, time=101), item(), chosen).action is Action.REPLACE
    assert decide_file(item(), None, chosen).action is Action.CREATE
    assert decide_file(item(time=101), item(attributes=FOLDER), chosen).reason is FileReason.TYPE_CONFLICT


def test_folders_and_links_are_decided_by_what_is_there() -> None:
    assert decide_directory(None).action is Action.CREATE
    assert decide_directory(item(attributes=FOLDER)).action is Action.SKIP
    assert decide_directory(item()).reason is FileReason.TYPE_CONFLICT
    assert decide_directory(item(attributes=FOLDER | LINK)).reason is FileReason.TYPE_CONFLICT
    link = item(attributes=0x20 | LINK)
    assert decide_reparse_point(link, Links.SKIP).action is Action.SKIP
    assert decide_reparse_point(link, Links.FAIL).reason is FileReason.REPARSE_POINT_SKIPPED


@pytest.mark.parametrize(
    ("source", "destination", "options", "needed"),
    [
        (item(attributes=FOLDER), item(attributes=FOLDER), {}, False),
        (item(attributes=FOLDER, time=9), item(attributes=FOLDER), {}, True),
        (item(attributes=FOLDER, time=9), item(attributes=FOLDER), NO_TIMES, False),
        (item(attributes=FOLDER | 2), item(attributes=FOLDER), {}, True),
        (item(attributes=FOLDER | 0x20), item(attributes=FOLDER), {}, False),
    ],
)
def test_a_folder_gets_its_times_only_when_they_differ(
    source: DirectoryEntry, destination: DirectoryEntry, options: dict[str, object], *, needed: bool
) -> None:
    assert directory_needs_metadata(source, destination, Options(**options)) is needed  # type: ignore[arg-type]


def test_listings_are_matched_as_smb_compares_names() -> None:
    result = pair([item("."), item("Ärger"), item("new")], [item(".."), item("äRGER"), item("old")])
    assert [(one.name, other and other.name) for one, other in result.both] == [("Ärger", "äRGER"), ("new", None)]
    assert [entry.name for entry in result.only_destination] == ["old"]


@pytest.mark.parametrize("there", [[], [item("README")], [item("readme")]])
def test_of_names_that_differ_in_case_the_one_at_the_destination_wins(there: list[DirectoryEntry]) -> None:
    names = ["readme", "README", "Readme"]
    for order in (names, names[::-1]):
        result = pair([item(name) for name in order], there)
        chosen = there[0].name if there else "README"
        assert [one.name for one, _ in result.both] == [chosen]
        assert {entry.name for entry, _, _ in result.refused} == set(names) - {chosen}
        assert not result.only_destination


ODD_NAMES = st.sampled_from(
    ["a", "A", "b", "ä", "Ä", "ß", "\u017f", "😀", "\ud83d", ".", "..", "", "a.", "b ", "con", "CON.x", "console",
     "x/y", "/", "a:b", "t\t", ".smbferry-00000000-0123456789abcdef", ".smbferry-"]
)  # fmt: skip


@given(st.lists(ODD_NAMES), st.lists(ODD_NAMES))
def test_names_looked_at_together_are_matched_as_they_are_one_by_one(ours: list[str], theirs: list[str]) -> None:
    source, destination = [item(name) for name in ours], [item(name, size=6) for name in theirs]
    odd = item("<one that forces a look at each>")
    one_by_one = pair([*source, odd], [*destination, odd])
    one_by_one.refused = [refusal for refusal in one_by_one.refused if refusal[0] is not odd]
    assert pair(source, destination) == one_by_one


@given(st.lists(st.one_of(ODD_NAMES, st.text(st.characters(exclude_categories=()), max_size=5))))
def test_names_are_plain_together_when_each_is(names: list[str]) -> None:
    keys = plain_keys(names)
    if keys is not None:
        assert keys == [case_key(name) for name in names]
        assert not [name for name in names if name_problem(name) or is_staging_name(name)]


@given(
    st.lists(st.tuples(st.integers(1, 2), st.integers(1, 2), st.sampled_from([0x20, 0x21, 0xA0, 0x10, 0x420]))),
    st.sampled_from(
        [{}, NO_TIMES, NO_ATTRIBUTES, CHECKSUM, {"overwrite_mode": OverwriteMode.NEVER}, IF_NEWER,
         {"transfer_mode": TransferMode.ALL}]
    ),
)  # fmt: skip
def test_what_is_found_unchanged_at_once_would_have_been_skipped(
    facts: list[tuple[int, int, int]], options: dict[str, object]
) -> None:
    chosen = Options(**options)  # type: ignore[arg-type]
    entries = [item(size=size, time=time, attributes=attributes) for size, time, attributes in facts]
    pairs = [(one, other) for one in entries for other in [*entries, None]]
    same, left = unchanged(pairs, chosen)
    assert len(same) + len(left) == len(pairs)
    found = [pair_ for pair_ in pairs if pair_ not in left]
    assert [one for one, _ in found] == same
    for one, other in found:
        assert not one.attributes & (FOLDER | LINK)
        assert decide_file(one, other, chosen).action is Action.SKIP
    if not options:
        plain = [(a, b) for a, b in left if b and not (a.attributes | b.attributes) & (FOLDER | LINK)]
        assert all(decide_file(a, b, chosen).action is not Action.SKIP for a, b in plain)


def test_a_hostile_name_at_the_destination_is_left_alone() -> None:
    assert pair([], [item("..\\up"), item("ok")]).only_destination == [item("ok")]


def test_a_refused_source_name_still_protects_its_counterpart() -> None:
    result = pair([item("CON")], [item("con")])
    assert not result.only_destination
    assert [entry.name for entry, _, _ in result.refused] == ["CON"]


def endpoint(share: str, path: str) -> Endpoint:
    return Endpoint("fs", 445, share, path, ("192.0.2.1",), "cifs/fs", "u@R", "FILE:/x", "/k")


@pytest.mark.parametrize(
    ("source", "destination", "options", "reason"),
    [
        (endpoint("a", "/x"), endpoint("A", "/X/y"), Options(), "SameDestination"),
        (endpoint("a", "/"), endpoint("a", "/"), Options(), "SameDestination"),
        (endpoint("a", "/x/../y"), endpoint("a", "/z"), Options(), "EndpointInvalid"),
        (endpoint("a", "/"), endpoint("b", "/"), Options(max_deletes="lots"), "OptionsInvalid"),
        (endpoint("a", "/"), endpoint("b", "/"), Options(exclude=("x",)), "OptionsInvalid"),
        (
            endpoint("a", "/"),
            endpoint("b", "/"),
            Options(deleted_files=DeletedFiles.REMOVE, transfer_mode=TransferMode.ALL),
            "OptionsInvalid",
        ),
    ],
)
def test_what_can_be_judged_beforehand_is(
    source: Endpoint, destination: Endpoint, options: Options, reason: str
) -> None:
    with pytest.raises(EngineError) as caught:
        check_options(source, destination, options)
    assert caught.value.reason == reason
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (NtStatus.ACCESS_DENIED, "AccessDenied"),
        (NtStatus.SHARING_VIOLATION, "SharingViolation"),
        (NtStatus.OBJECT_NAME_NOT_FOUND, "FileVanished"),
        (0xC0DEC0DE, "FileFailed"),
    ],
)
def test_a_refusal_becomes_the_failure_of_one_file(status: int, reason: str) -> None:
    error = status_error(status, "opening")
    assert isinstance(error, FileError)
    assert (error.reason, error.status) == (reason, status)
    assert "opening" in error.message


def test_times_are_told_in_utc_and_set_only_when_they_are_times() -> None:
    assert to_datetime(116_444_736_000_000_000).isoformat() == "1970-01-01T00:00:00+00:00"
    assert to_datetime(2**64 - 1).year == 9999
    assert [settable(value) for value in (0, 1, 2**63 - 1, 2**63, 2**64 - 1)] == [0, 1, 2**63 - 1, 0, 0]
