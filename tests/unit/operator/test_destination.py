from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import recorded, snapshot

from smbferry_operator.decide.destination import Destination


def place(path: str, *, server: str = "files.corp.example.com", guid: str | None = None) -> Destination:
    taken = snapshot(dst_path=path, server=server)
    if guid:
        taken["destination"]["serverGuid"] = guid
    return Destination.of(recorded(taken).task.destination)


@pytest.mark.fault(46)
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("/", "/", True),
        ("/a", "/a/", True),
        ("/A", "/a", True),
        ("/Ärger", "/äRGER", True),
        ("/a", "/a/b/c", True),
        ("/", "/a", True),
        ("/a", "/ab", False),
        ("/a/b", "/a/c", False),
        ("/straße", "/STRASSE", True),
    ],
)
def test_equal_and_nested_folders_overlap(one: str, other: str, same: bool) -> None:
    assert place(one).overlaps(place(other)) is same
    assert place(other).overlaps(place(one)) is same


@pytest.mark.parametrize(("server", "same"), [("FILES.corp.example.com.", True), ("files2.corp.example.com", False)])
def test_servers_are_compared_as_dns_does(server: str, same: bool) -> None:
    assert place("/a").overlaps(place("/a", server=server)) is same


ONE, TWO = "2f3f6f5c-6f0e-4c5f-9a0d-4f6c2b8d0a11", "b8d0a11a-0000-4c5f-9a0d-4f6c2b8d0a12"
CNAME = "cname.corp.example.com"


@pytest.mark.fault(125)
@pytest.mark.parametrize(
    ("one", "other", "collide"),
    [
        pytest.param(place("/a", guid=ONE), place("/a", server=CNAME, guid=ONE), True, id="an alias"),
        pytest.param(place("/a", guid=ONE), place("/a", server=CNAME, guid=ONE.upper()), True, id="spelled otherwise"),
        pytest.param(place("/a", guid=ONE), place("/a/b", server="files", guid=ONE), True, id="within, short name"),
        pytest.param(place("/a", guid=ONE), place("/b", server=CNAME, guid=ONE), False, id="another folder of it"),
        pytest.param(place("/a", guid=ONE), place("/a", server=CNAME, guid=TWO), False, id="another server"),
        pytest.param(place("/a", guid=ONE), place("/a", guid=TWO), True, id="the same name, another node"),
        pytest.param(place("/a", guid=ONE), place("/a"), True, id="the same name, one does not say"),
        pytest.param(place("/a", guid=ONE), place("/a", server=CNAME), False, id="another name, one does not say"),
        pytest.param(place("/a"), place("/a", server=CNAME), False, id="another name, none says"),
    ],
)
def test_either_the_name_or_the_servers_own_identifier_makes_a_run_wait(
    one: Destination, other: Destination, collide: bool
) -> None:
    assert one.collides(other) is other.collides(one) is collide


def test_another_port_of_the_same_server_leads_to_the_same_folder() -> None:
    assert place("/a", guid=ONE).collides(replace(place("/a", guid=ONE), port=8445))


def behind_dfs(path: str) -> Destination:
    """A location that names a link of a namespace, whose check found where it leads."""
    task = snapshot(dst_path=path, server="ns.corp.example.com")
    task["destination"]["dfsTarget"] = {"server": "Files.corp.example.com", "share": "DST", "path": "/a"}
    return Destination.of(recorded(task).task.destination)


def test_a_dfs_path_is_the_folder_that_it_leads_to() -> None:
    assert behind_dfs("/b") == Destination("files.corp.example.com", 445, "dst", ("a", "b"))
    assert not behind_dfs("/b").overlaps(behind_dfs("/c"))


parts = st.lists(
    st.text(st.characters(exclude_characters='/\\:*?"<>|', exclude_categories=["C"]), min_size=1), max_size=4
)


@given(parts)
def test_the_written_form_reads_back(path: list[str]) -> None:
    destination = Destination("server", 445, "share", tuple(p.casefold() for p in path))

    assert Destination.parse(destination.written) == destination
    assert Destination.parse(replace(destination, guid=ONE).written) == replace(destination, guid=ONE)


@pytest.mark.parametrize("text", ["", "share/path", "//server/share"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|invalid literal"):
        Destination.parse(text)
