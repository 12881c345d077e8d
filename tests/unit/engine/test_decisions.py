"""Plan, filters, paths, limits: tables of cases."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.engine.fake_server import drive

from smbferry_engine.core.tasks import Scheduler
from smbferry_engine.errors import EngineError, FileError, FileReason, status_error
from smbferry_engine.filters import Descent, Filters
from smbferry_engine.model import (
    CompareBy,
    Counters,
    DeletedFiles,
    Endpoint,
    Options,
    OverwriteMode,
    Preservation,
    Symlinks,
    TransferMode,
)
from smbferry_engine.paths import (
    case_key,
    display,
    from_user,
    is_temporary,
    name_problem,
    overlaps,
    plain_keys,
    temporary_names,
)
from smbferry_engine.plan import (
    Action,
    DeleteLimit,
    decide_directory,
    decide_file,
    decide_reparse_point,
    directory_needs_metadata,
    pair,
    unchanged,
)
from smbferry_engine.progress import Limiter, Meter
from smbferry_engine.times import settable, to_datetime
from smbferry_engine.transfer import check_options
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.status import NtStatus

FOLDER, LINK = 0x10, 0x400


def item(name: str = "f", *, size: int = 5, time: int = 100, attributes: int = 0x20) -> DirectoryEntry:
    return DirectoryEntry(name, size, attributes, 1, 2, time, 3, 0, 0)


NO_TIMES = {"timestamps": Preservation.NONE}
NO_ATTRIBUTES = {"attributes": Preservation.NONE}
CHECKSUM = {"compare_by": CompareBy.CHECKSUM}


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


def test_folders_and_links_are_decided_by_what_is_there() -> None:
    assert decide_directory(None).action is Action.CREATE
    assert decide_directory(item(attributes=FOLDER)).action is Action.SKIP
    assert decide_directory(item()).reason is FileReason.TYPE_CONFLICT
    assert decide_directory(item(attributes=FOLDER | LINK)).reason is FileReason.TYPE_CONFLICT
    link = item(attributes=0x20 | LINK)
    assert decide_reparse_point(link, Options()).action is Action.SKIP
    assert decide_reparse_point(link, Options(symlinks=Symlinks.FAIL)).reason is FileReason.REPARSE_POINT_SKIPPED


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
        assert not [name for name in names if name_problem(name) or is_temporary(name)]


@given(
    st.lists(st.tuples(st.integers(1, 2), st.integers(1, 2), st.sampled_from([0x20, 0x21, 0xA0, 0x10, 0x420]))),
    st.sampled_from(
        [{}, NO_TIMES, NO_ATTRIBUTES, CHECKSUM, {"overwrite_mode": OverwriteMode.NEVER},
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


@pytest.mark.parametrize(
    ("name", "fine"),
    [
        ("plain.txt", True), ("ä ö", True), ("😀", True), ("\ud800", True), ("CONsole", True), (".hidden", True),
        ("com10", True), ("", False), (".", False), ("..", False), ("a\\b", False), ("a/b", False), ("a\0", False),
        ("a\x1f", False), ("a:b", False), ("a*", False), ("a?", False), ("<", False), ("|", False), ('"', False),
        ("end.", False), ("end ", False), ("con", False), ("NUL.txt", False), ("com1", False), ("LPT9.x.y", False),
        ("com¹", False),
    ],
)  # fmt: skip
def test_a_name_is_judged_before_it_is_used(name: str, *, fine: bool) -> None:
    assert (name_problem(name) is None) is fine


@given(st.text(st.characters(exclude_categories=())))
def test_the_case_of_a_name_never_changes_its_length_or_its_key(name: str) -> None:
    assert len(case_key(name)) == len(name)
    assert case_key(case_key(name)) == case_key(name)


@pytest.mark.parametrize(
    ("path", "shown"),
    [("", "/"), ("a\\b", "/a/b"), ("ä\\😀", "/ä/😀"), ("x\ud83d", "/x\\ud83d"), ("a\nb", "/a\\u000ab")],
)
def test_a_path_is_shown_so_that_a_log_can_hold_it(path: str, shown: str) -> None:
    assert display(path) == shown
    shown.encode()


def test_temporary_names_are_known_and_the_same_for_the_same_version() -> None:
    names = temporary_names("Größe.txt", b"one")
    assert names == temporary_names("GRÖßE.TXT", b"one")
    others = {*names, *temporary_names("Größe.txt", b"two"), *temporary_names("x", b"one")}
    assert len(others) == 9
    assert all(is_temporary(name) and name_problem(name) is None for name in others)
    assert not is_temporary(".smbferry-notes.txt")


@pytest.mark.parametrize(("given_path", "path"), [("/", ""), ("", ""), ("/a/b/", "a\\b"), ("a//b", "a\\b")])
def test_an_endpoints_path_becomes_the_engines(given_path: str, path: str) -> None:
    assert from_user(given_path) == path


@pytest.mark.parametrize("path", ["/a/../b", "/a\\b", "/a:b", "/con"])
def test_an_endpoints_path_that_names_no_folder_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        from_user(path)


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [("", "a", True), ("a", "A\\b", True), ("a", "ab", False), ("a\\b", "a\\c", False), ("x", "x", True)],
)
def test_folders_overlap_when_one_lies_in_the_other(one: str, other: str, *, overlap: bool) -> None:
    assert overlaps(one, other) is overlap
    assert overlaps(other, one) is overlap


@pytest.mark.parametrize(
    ("include", "exclude", "path", "wanted"),
    [
        ((), (), "a\\b", True),
        ((), ("*.tmp",), "a\\b.TMP", False),
        ((), ("*.tmp",), "a\\b.tmpx", True),
        ((), ("*.tmp",), "x.tmp\\inside", False),
        ((), ("*/~$*",), "deep\\er\\~$doc.docx", False),
        ((), ("*/~$*",), "deep\\er\\doc.docx", True),
        ((), ("/cache",), "cache\\x", False),
        ((), ("/cache/",), "Cache\\x", False),
        ((), ("/cache",), "cached", True),
        ((), ("/cache",), "a\\cache", True),
        ((), ("*/cache",), "a\\cache\\x", False),
        (("/projects",), (), "projects\\a\\b", True),
        (("/projects",), (), "projectsx", False),
        (("/pro*",), (), "projectsx", True),
        (("/a/b",), (), "a\\c", False),
        (("/a",), ("*.tmp",), "a\\x.tmp", False),
        ((), ("*\\*x",), "a\\b*x", False),
        ((), ("/Ä*",), "ärger", False),
        ((), ("/a.b",), "aXb", True),
    ],
)
def test_filters_follow_datasyncs_grammar(
    include: tuple[str, ...], exclude: tuple[str, ...], path: str, *, wanted: bool
) -> None:
    assert Filters(include, exclude).wants_file(path) is wanted


@pytest.mark.parametrize(
    ("include", "exclude", "path", "descent"),
    [
        ((), (), "a", Descent.WHOLE),
        ((), ("/a",), "a", Descent.NONE),
        (("/a/b",), (), "a", Descent.THROUGH),
        (("/a/b",), (), "a\\b", Descent.WHOLE),
        (("/a/b",), (), "a\\b\\c", Descent.WHOLE),
        (("/a/b",), (), "x", Descent.NONE),
        (("/a/b*",), (), "a", Descent.THROUGH),
        (("/a/b",), ("/a",), "a", Descent.NONE),
    ],
)
def test_folders_are_entered_only_where_something_is_wanted(
    include: tuple[str, ...], exclude: tuple[str, ...], path: str, descent: Descent
) -> None:
    assert Filters(include, exclude).descent(path) is descent


@pytest.mark.parametrize(
    ("include", "exclude"),
    [
        (("/a*b",), ()),
        (("*/a",), ()),
        ((), ("",)),
        ((), ("/",)),
        ((), ("a|b",)),
        ((), ("/a\\b",)),
        ((), ("/a\\",)),
        ((), ("name",)),
    ],
)
def test_a_pattern_that_means_nothing_is_refused_by_name(include: tuple[str, ...], exclude: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="pattern"):
        Filters(include, exclude)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda name: name_problem(name) is None))
def test_an_escaped_name_excludes_itself_and_what_is_in_it(name: str) -> None:
    escaped = "".join("\\" + char if char in "*|\\" else char for char in name)
    filters = Filters(exclude=(f"/{escaped}",))
    assert not filters.wants_file(name)
    assert not filters.wants_file(f"{name}\\x")
    assert filters.wants_file(f"{name}x")


@pytest.mark.parametrize(
    ("value", "deletes", "listed", "allowed"),
    [(5, 5, 100, True), (5, 6, 100, False), ("5", 6, 100, False), ("10%", 10, 100, True), ("10%", 11, 100, False),
     ("0.5%", 1, 200, True), (0, 0, 0, True), (0, 1, 10, False), ("100%", 10, 10, True), ("0%", 1, 10, False)],
)  # fmt: skip
def test_max_deletes_is_a_count_or_a_share(value: str | int, deletes: int, listed: int, *, allowed: bool) -> None:
    assert DeleteLimit.parse(value).allows(deletes, listed) is allowed


@pytest.mark.parametrize("value", ["", "ten", "-1", -1, "101%", "%", "1.5", "1e3", "5 %x", "nan%"])
def test_a_max_deletes_that_means_nothing_is_refused(value: str | int) -> None:
    with pytest.raises(ValueError, match="maxDeletes"):
        DeleteLimit.parse(value)


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


def test_rate_and_remaining_time_come_from_the_last_seconds() -> None:
    counters = Counters()
    counters.bytes.to_transfer = 1000
    meter = Meter(counters)
    assert meter.due(100.0)
    counters.bytes.transferred = 200
    assert not meter.due(100.5)
    assert meter.due(102.0)
    assert (counters.bytes_per_second, counters.eta_seconds) == (100, 8.0)


def test_a_limit_is_kept_on_average_and_may_change() -> None:
    scheduler, limit = Scheduler(), [1000]
    limiter = Limiter(scheduler, lambda: limit[0])

    async def main() -> list[float]:
        at = []
        for _ in range(4):
            await limiter.take(1000)
            at.append(scheduler.now)
        limit[0] = 10_000
        await limiter.take(1000)
        await limiter.take(1000)
        at.append(scheduler.now)
        return at

    scheduler.advance(50.0)
    at = drive(scheduler, main())
    assert at[3] - at[0] == pytest.approx(2.75)
    assert at[4] - at[3] == pytest.approx(0.2)


def test_whoever_waits_for_a_slow_limit_notices_within_seconds_that_it_was_raised() -> None:
    scheduler, limit = Scheduler(), [10]
    limiter = Limiter(scheduler, lambda: limit[0])

    async def raise_it() -> None:
        await scheduler.sleep(7.0)
        limit[0] = 1 << 30

    async def main() -> float:
        change = scheduler.spawn(raise_it())
        await limiter.take(1 << 20)
        await limiter.take(1 << 20)
        await change
        return scheduler.now

    assert drive(scheduler, main()) == pytest.approx(10.0, abs=0.1)


def test_without_a_limit_nobody_waits() -> None:
    scheduler = Scheduler()
    drive(scheduler, Limiter(scheduler, lambda: None).take(1 << 40))
    assert scheduler.now == 0
