"""What is compressed comes back as it was, and takes little room."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.builders import LOCATION_GOOD, checks, location_body, run_body, snapshot

from smbferry_operator.model import Key, Kind
from smbferry_operator.observe.cache import Cache
from smbferry_operator.observe.packing import WINDOW, Packer, unpack
from smbferry_operator.observe.relation import Relation

ODD: list[dict[str, Any]] = [
    {},
    {"name": "\ud800 is no character", "numbers": [1, -2, 0.5, 1 << 62], "nothing": None, "yes": True},
    {"long": "x" * (2 * WINDOW)},
    {"z": 1, "a": {"z": 1, "a": 2}},
]


def test_each_object_comes_back_as_it_was_whatever_was_packed_before_it() -> None:
    packer = Packer()
    bodies = [*ODD, *(location_body(f"l{n}") for n in range(40)), *ODD]
    packed = [packer.pack(body) for body in bodies]

    found = [unpack(*each) for each in packed]
    assert found == bodies
    assert [list(body) for body in found] == [list(body) for body in bodies], "in the same order"


def test_objects_of_a_kind_take_a_tenth_of_their_json_and_an_odd_first_one_spoils_nothing() -> None:
    packer = Packer()
    packer.pack({"odd": True})
    status = {"conditions": checks(LOCATION_GOOD)}
    bodies = [location_body(f"l{n}", status, identity=f"id-{n}") for n in range(100)]
    packed = [packer.pack(body) for body in bodies]

    assert sum(len(each.data) for each in packed[10:]) < sum(len(json.dumps(body)) for body in bodies[10:]) / 10
    assert len({each.dictionary for each in packed}) < 10


def test_what_a_reader_changes_does_not_change_the_object() -> None:
    cache = Cache()
    cache.put(Kind.RUN, run_body("run", {"task": snapshot()}))
    key = Key(Kind.RUN, "team", "run")
    body = cache.get(key)
    assert body is not None
    body["status"].clear()

    assert cache.get(key) == run_body("run", {"task": snapshot()})


def test_each_version_has_a_token_of_its_own() -> None:
    cache, key = Cache(), Key(Kind.RUN, "team", "run")
    assert cache.token(key) is None
    cache.put(Kind.RUN, run_body(version=1))
    first = cache.token(key)
    assert cache.token(key) is first
    cache.put(Kind.RUN, run_body(version=2))
    assert cache.token(key) is not first


@pytest.mark.parametrize("gone", [("a",), ("b",), ("a", "b"), ("c",), ("c", "b", "a"), ("x",)])
def test_a_relation_is_a_set_of_values_for_each_key(gone: tuple[str, ...]) -> None:
    relation: Relation[str, str] = Relation()
    for value in ("a", "b", "b", "c"):
        relation.add("key", value)
    relation.add("other", "a")
    for value in gone:
        relation.discard("key", value)
    left = {"a", "b", "c"} - set(gone)

    assert set(relation.of("key")) == left
    assert len(list(relation.of("key"))) == len(left)
    assert ("key" in relation) is bool(left)
    assert list(relation.of("other")) == ["a"]
    for value in left:
        relation.discard("key", value)
    relation.discard("other", "a")
    assert not relation
