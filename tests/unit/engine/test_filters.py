"""Filters: which paths they include and exclude, and which patterns are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.engine.directory_entries import item

from smbferry_engine.model import Selection
from smbferry_engine.paths import (
    name_problem,
)
from smbferry_engine.plan.filters import Descent, Filters
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_words.options import FileAttribute


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
    assert Filters(include, exclude).wants_file(path, item()) is wanted


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
    assert not filters.wants_file(name, item())
    assert not filters.wants_file(f"{name}\\x", item())
    assert filters.wants_file(f"{name}x", item())


LINK = 0x400
RECALLED = (0x1000, 0x40000, 0x400000)


@pytest.mark.parametrize(
    ("selection", "entry", "wanted"),
    [
        (Selection(min_size=5), item(size=5), True),
        (Selection(min_size=5), item(size=4), False),
        (Selection(max_size=5), item(size=5), True),
        (Selection(max_size=5), item(size=6), False),
        (Selection(max_size=0), item(size=0), True),
        (Selection(min_size=5, max_size=6), item(size=7), False),
        (Selection(written_from=100), item(time=100), True),
        (Selection(written_from=100), item(time=99), False),
        (Selection(written_until=100), item(time=100), True),
        (Selection(written_until=100), item(time=101), False),
        (Selection(written_from=100), item(time=0), False),
        (Selection(written_until=-5), item(time=0), False),
        (Selection(without=(FileAttribute.HIDDEN,)), item(attributes=0x22), False),
        (Selection(without=(FileAttribute.HIDDEN,)), item(attributes=0x24), True),
        (Selection(without=(FileAttribute.HIDDEN, FileAttribute.SYSTEM)), item(attributes=0x24), False),
        (Selection(without=(FileAttribute.READ_ONLY,)), item(attributes=0x21), False),
        (Selection(without=(FileAttribute.ARCHIVE,)), item(attributes=0x20), False),
        (Selection(without=(FileAttribute.TEMPORARY,)), item(attributes=0x120), False),
        *((Selection(without=(FileAttribute.OFFLINE,)), item(attributes=0x20 | bit), False) for bit in RECALLED),
        (Selection(min_size=5, without=(FileAttribute.HIDDEN,)), item(size=0, attributes=LINK | 0x22), True),
    ],
)
def test_files_are_selected_by_size_time_and_attributes_and_links_are_not(
    selection: Selection, entry: DirectoryEntry, *, wanted: bool
) -> None:
    filters = Filters(selection=selection)
    assert filters.wants_file("f", entry) is wanted
    assert not filters.want_all
    assert filters.descent("folder") is Descent.WHOLE


def test_all_filters_must_agree() -> None:
    filters = Filters(("/a",), ("*.tmp",), Selection(min_size=5))
    assert filters.wants_file("a\\f", item(size=5))
    assert not filters.wants_file("a\\f", item(size=4))
    assert not filters.wants_file("a\\f.tmp", item(size=5))
    assert not filters.wants_file("b\\f", item(size=5))


@pytest.mark.parametrize("selection", [Selection(min_size=2, max_size=1), Selection(written_from=2, written_until=1)])
def test_a_minimum_above_its_maximum_is_refused(selection: Selection) -> None:
    with pytest.raises(ValueError, match="expected a minimum of at most the maximum, got 2 and 1"):
        Filters(selection=selection)
