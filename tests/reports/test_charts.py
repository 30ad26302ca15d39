from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from kfp_perf.reports.charts import (
    Area,
    Band,
    Bar,
    Line,
    Marks,
    Row,
    Segment,
    Span,
    bar_chart,
    clock_axis,
    count_axis,
    seconds_axis,
    span_chart,
    sparkline,
    stepped,
    xy_chart,
)
from kfp_perf.reports.charts.chart import style_sheet

if TYPE_CHECKING:
    from kfp_perf.reports.charts import Chart

SVG = "{http://www.w3.org/2000/svg}"
EVIL = '<script>alert("x")</script>&'


def xy(*layers: Line | Area | Marks, bands: tuple[Band, ...] = ()) -> Chart:
    hints = [(0.0, 5.0, EVIL)]
    return xy_chart(EVIL, EVIL, EVIL, clock_axis(10), count_axis(10, EVIL), layers, bands=bands, hints=hints)


def charts() -> list[Chart]:
    bar = Bar(EVIL, EVIL, [Segment(EVIL, 3.0, EVIL, 0), Segment("queue", -1.0, "-1 s", 1)])
    return [
        xy(
            Line(EVIL, [(0, 1), (5, None), (10, 3)], 1),
            Area("", [(0, 1, 2), (10, 2, 3)]),
            Marks("m", [(1, 1)], "up"),
        ),
        xy(bands=(Band(EVIL, 0, 5), Band("B", 0, 10))),
        bar_chart("bars", EVIL, EVIL, seconds_axis(4, EVIL), [bar]),
        span_chart(
            "spans", EVIL, EVIL, clock_axis(10), [Row(EVIL, [Span(0, 4, 2, EVIL)], EVIL)], keys=[(2, EVIL)]
        ),
    ]


@pytest.mark.parametrize("chart", charts(), ids=lambda chart: chart.name)
@pytest.mark.parametrize("width", [380, 960])
def test_a_chart_is_well_formed_and_holds_nothing_but_text_of_what_it_was_given(
    chart: Chart, width: int
) -> None:
    root = ET.fromstring(chart.standalone(width))
    assert not list(root.iter(f"{SVG}script"))
    inline = ET.fromstring(str(chart.svg(width)))
    assert inline.get("role") == "img"
    assert EVIL in (inline.get("aria-label") or "")


def test_a_file_of_its_own_needs_no_variables() -> None:
    assert "var(" in style_sheet()
    for chart in charts():
        assert "var(" not in chart.standalone()
        assert "@media" not in chart.standalone()


def test_lines_are_told_apart_without_colour() -> None:
    sheet = style_sheet()
    dashes = [
        line.split("stroke-dasharray: ")[1]
        for line in sheet.splitlines()
        if ".line" in line and "dasharray" in line
    ]
    assert len(dashes) == 7
    assert len(set(dashes)) == 7


def test_a_gap_interrupts_the_line_and_a_single_point_is_seen() -> None:
    inner, _ = xy(Line("a", [(0, 1), (1, 2), (2, None), (5, 3)])).draw(960)
    (path,) = [
        node for node in ET.fromstring(f"<g>{inner}</g>").iter("path") if node.get("class") == "line line0"
    ]
    assert (path.get("d") or "").count("M") == 2
    assert "a1.5" in (path.get("d") or "")


def test_marks_on_the_same_pixel_are_drawn_once() -> None:
    inner, _ = xy(Marks("runs", [(5.0, 5.0)] * 1000)).draw(960)
    assert len(str(inner)) < 5000


def test_values_beyond_the_axes_stay_in_the_picture() -> None:
    inner, height = xy(Line("a", [(-50, -50), (500, 500)])).draw(400)
    (path,) = [
        node for node in ET.fromstring(f"<g>{inner}</g>").iter("path") if node.get("class") == "line line0"
    ]
    numbers = [float(word) for word in (path.get("d") or "").strip("M").replace("L", " ").split()]
    assert all(0 <= x <= 400 for x in numbers[::2])
    assert all(0 <= y <= height for y in numbers[1::2])


def test_letters_of_bands_that_begin_together_do_not_cover_each_other() -> None:
    inner, _ = xy(bands=(Band("A", 0, 5), Band("B", 0, 5), Band("C", 0, 5))).draw(960)
    groups = [node for node in ET.fromstring(f"<g>{inner}</g>").iter("g") if node.get("class") == "band"]
    places = [float(text.get("x") or 0) for group in groups for text in group.iter("text")]
    assert len(set(places)) == 3


def test_a_negative_part_has_no_length() -> None:
    bar = Bar("a", "", [Segment("queue", -1.0, "-1 s", 0), Segment("execute", 2.0, "2 s", 1)])
    inner, _ = bar_chart("bars", "", "", seconds_axis(2, "s"), [bar]).draw(960)
    parts = [node for node in ET.fromstring(f"<g>{inner}</g>").iter("rect") if node.get("class") == "part"]
    drawn = [node for node in parts if node.find("title") is not None]
    assert [node.findtext("title") for node in drawn] == ["execute: 2 s"]
    assert float(drawn[0].get("width") or 0) > 900


def test_stepped_points_stay_until_they_jump() -> None:
    assert stepped([(0, 1), (2, 3), (5, 0)]) == [(0, 1), (2, 1), (2, 3), (5, 3), (5, 0)]


@pytest.mark.parametrize("values", [[], [None], [None, 1.0, None, 0.0], [0.0, 0.0]])
def test_a_sparkline_takes_whatever_there_is(values: list[float | None]) -> None:
    assert ET.fromstring(str(sparkline(values, EVIL))).get("aria-label") == EVIL


def test_however_many_bands_lie_over_each_other_they_stay_behind() -> None:
    for count in (1, 3, 40):
        drawn = xy(Line("l", [(0, 1), (9, 3)]), bands=tuple(Band(f"{n}", 0, 10) for n in range(count)))
        opacities = [float(found) for found in re.findall(r'fill-opacity="([\d.]+)"', drawn.standalone())]
        assert len(opacities) == count
        assert 0 < sum(opacities) <= 0.2


def test_what_is_to_come_is_pale_and_without_hatching() -> None:
    chart = span_chart(
        "s", "t", "a", clock_axis(10), [Row("r", [Span(2, 8, None)])], keys=[(None, "to come")]
    )
    inner, _ = chart.draw(960)
    assert inner.count('class="pale"') == 2
    assert "hatch" not in inner


def test_a_part_is_named_as_fully_as_its_bar_has_room_for() -> None:
    parts = [
        Segment(f"phase-{n}", value, f"phase-{n} {value} s", n) for n, value in enumerate((8.0, 1.0, 0.1))
    ]
    inner, _ = bar_chart("b", "t", "a", seconds_axis(10, "s"), [Bar("run", "9.1 s", parts)]).draw(960)
    assert re.findall(r"middle[^>]*>([^<]+)</text>", inner)[-2:] == ["phase-0 8.0 s", "phase-1"]
