"""The page and the plot."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from lab.bench import peers, plot, report
from lab.bench.cases import MIB, Case, Tree, Unit, Work
from lab.bench.results import Row, summarise

COPY = Case("copy", "copy one file", Work.COPY, Unit.BYTES, Tree("one", (10**9,), single=True), 3)
FAR = replace(COPY, name="copy-10ms", title="copy one file & more, 10 ms", round_trip=0.010)
ROWS = [
    Row("copy", peers.ENGINE, 0, 2.0, 1, 10**9, 1.0, 1.5, 210 * MIB),
    Row("copy", peers.RCLONE, 0, 6.0, 1, 10**9, 1.0, 1.5, 90 * MIB),
    Row("copy-10ms", peers.ENGINE, 0, 2.0, 1, 10**9, 1.0, 1.5, 90 * MIB),
    Row("copy-10ms", peers.RCLONE, 0, 20.0, 1, 10**9, 1.0, 1.5, 90 * MIB),
    Row.failed("copy-10ms", peers.SMBCLIENT, 0, "smbclient ended with 1:\nno"),
]


def rendered(scale: float = 1.0) -> str:
    return report.render(machine={"memory": "24 GiB"}, scale=scale, cases=[COPY, FAR], rows=ROWS)


def test_only_what_lies_between_the_markers_is_replaced() -> None:
    page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    merged = report.merge(page, "new")
    assert merged == f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"
    assert report.merge(merged, "new") == merged


@pytest.mark.parametrize(
    "page", ["", report.BEGIN, report.END, f"{report.END}{report.BEGIN}", f"{report.BEGIN}{report.END}{report.END}"]
)
def test_a_page_without_its_markers_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="markers"):
        report.merge(page, "new")


def test_the_page_says_what_is_reached_and_by_how_much_the_rest_is_short() -> None:
    page = rendered()
    assert "| one file copied, to rclone | 4 x | 3.00 x | short by 25 % |" in page
    assert "| one file copied at 10 ms, to rclone | 5 x | 10.00 x | reached |" in page
    assert "| one file copied, to the limit | 0.85 x | - | not measured |" in page
    assert "(most: copy) | at most 200 MiB | 210 MiB | over by 10 MiB |" in page


def test_the_page_has_figures_per_case_and_an_error_where_a_client_failed() -> None:
    page = rendered()
    assert "| copy one file | smbferry | 500 MB/s |  | 2.00 s | 1.00 s | 1.50 s | 210 MiB | 1 |" in page
    assert "|  | rclone | 167 MB/s | 3.00 x | 6.00 s | 1.00 s | 1.50 s | 90 MiB | 1 |" in page
    assert "### At 10 ms round trip" in page
    assert "|  | smbclient | error |" in page
    assert "- copy-10ms, smbclient: smbclient ended with 1: no" in page


SURVEYS = [
    replace(COPY, name=name, title=name, work=Work.FORECAST, tree=Tree(name, (1,) * 10)) for name in ("near", "off")
]


@pytest.mark.parametrize(("forecast", "found", "said"), [(1.3, "0.65 x", "off by 35 %"), (2.4, "1.20 x", "reached")])
def test_the_page_has_the_forecasts_and_how_far_the_worst_is_off(forecast: float, found: str, said: str) -> None:
    rows = [
        Row("near", peers.ENGINE, 0, 2.0, 10, 10, 1.0, 1.5, MIB, forecast_seconds=2.2),
        *(Row("off", peers.ENGINE, n, 2.0, 10, 10, 1.0, 1.5, MIB, forecast_seconds=forecast + n) for n in (-1, 0, 1)),
    ]
    page = report.render(machine={}, scale=1.0, cases=SURVEYS, rows=rows)
    assert f"| a survey's forecast, to the copy (furthest: off) | 0.75 to 1.25 x | {found} | {said} |" in page
    assert f"| off | {found} | 2.00 s | 1 MiB | 3 |" in page
    assert "| near | 1.10 x | 2.00 s | 1 MiB | 1 |" in page


def test_a_page_without_surveys_says_nothing_of_forecasts() -> None:
    assert "forecast" not in rendered()


def test_a_trial_is_called_one() -> None:
    assert "trial" in rendered(0.1)
    assert "trial" not in rendered(1.0)


def test_the_plot_has_a_bar_for_every_comparison_and_is_wellformed() -> None:
    shown = plot.groups([COPY, FAR], summarise([COPY, FAR], ROWS))
    assert [(group.title, [bar.peer for bar in group.bars]) for group in shown] == [
        ("copy one file", [peers.RCLONE]),
        ("copy one file & more, 10 ms", [peers.RCLONE]),
    ]
    assert [group.bars[0].goal for group in shown] == [4.0, 5.0]
    picture = plot.render(shown)
    root = ET.fromstring(picture)
    bars = [one for one in root.iter("{http://www.w3.org/2000/svg}rect") if one.get("height") == str(plot.BAR)]
    assert len(bars) == 2
    assert float(bars[0].get("width", "0")) < float(bars[1].get("width", "0"))
    assert "prefers-color-scheme: dark" in picture


@pytest.mark.parametrize(("value", "same_as"), [(0.01, plot.LEAST), (5000.0, plot.MOST)])
def test_what_lies_beyond_the_axis_is_drawn_at_its_end(value: float, same_as: float) -> None:
    assert plot.position(value) == plot.position(same_as)


def test_half_as_fast_is_as_far_from_one_as_twice() -> None:
    assert plot.position(1.0) - plot.position(0.5) == pytest.approx(plot.position(2.0) - plot.position(1.0))
