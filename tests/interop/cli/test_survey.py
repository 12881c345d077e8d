"""`smbferry survey`: a survey without a cluster, its JSON, its page and its report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lab.support.domain.trees import Wanted, differences, odd

if TYPE_CHECKING:
    from tests.interop.cli.support import Scene


def test_a_survey_says_what_is_there_and_writes_a_page(scene: Scene) -> None:
    scene.source.seed(odd())
    before = scene.destination.tree()
    target = scene.folder / "survey.html"
    ended = scene.smbferry("survey", "-o", "json", "--html", str(target))
    assert ended.code == 0, ended.err
    run = ended.document()
    tree = scene.source.tree()
    files = [entry for entry in tree.values() if entry.kind == "file"]
    found = run["status"]["survey"]
    assert run["spec"]["survey"] is True
    assert (found["files"], found["bytes"]) == (len(files), sum(entry.size for entry in files))
    assert found["directories"] == 1 + sum(entry.kind == "directory" for entry in tree.values())
    assert found["forecast"]["basis"] == "Read"
    assert set(run["status"]["security"]) == {"source"}
    assert run["status"]["security"]["source"]["cipher"]
    assert "<h2>Forecast</h2>" in target.read_text(encoding="utf-8")
    assert differences(before, scene.destination.tree(), times=True) == []


def test_a_destination_is_measured_and_left_as_it_was(scene: Scene) -> None:
    scene.source.seed([Wanted(f"folder/{n}", size=1_000) for n in range(50)])
    scene.destination.seed([Wanted("there", size=3)])
    before = scene.destination.tree()
    ended = scene.smbferry("survey", "--measure-destination")
    assert ended.code == 0, ended.err
    assert "Forecast, from a sample that was copied" in ended.out
    assert differences(before, scene.destination.tree()) == []


def test_the_reports_summary_has_the_survey(scene: Scene) -> None:
    scene.source.seed([Wanted("a", size=5)])
    with scene.domain.directory("dst") as place:
        scene.locations["reports"] = {"share": place.share, "path": place.path, "identityRef": {"name": "writer"}}
        scene.report = {"detail": "Everything", "locationRef": {"name": "reports"}, "path": "/"}
        ended = scene.smbferry("survey", "-o", "json")
        assert ended.code == 0, ended.err
        (name,) = [path for path in place.tree() if path.endswith(".summary.json")]
        summary = json.loads(place.read(name))
    assert summary["survey"]["files"] == 1
    assert summary["survey"]["contents"]["largest"] == [{"path": "/a", "bytes": 5}]
