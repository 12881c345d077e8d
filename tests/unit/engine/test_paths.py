"""Names and paths: which are refused, what is shown of them, and staging files' names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbferry_engine.paths import (
    case_key,
    display,
    from_user,
    is_staging_name,
    name_problem,
    overlaps,
    staging_names,
)


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
    names = staging_names("Größe.txt", b"one")
    assert names == staging_names("GRÖßE.TXT", b"one")
    others = {*names, *staging_names("Größe.txt", b"two"), *staging_names("x", b"one")}
    assert len(others) == 9
    assert all(is_staging_name(name) and name_problem(name) is None for name in others)
    assert not is_staging_name(".smbferry-notes.txt")


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
