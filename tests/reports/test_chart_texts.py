"""Texts in charts as Chromium draws them: none covers another, for twelve kinds of result and crowded ones."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

import pytest
from kinds_of_result import KINDS, make_kind
from sample_results import Load, SampleTest, make_result

from kfp_perf.reports.charts import Band, Line, clock_axis, count_axis, xy_chart
from kfp_perf.reports.charts.chart import NARROW, WIDE, style_sheet, text_width
from kfp_perf.reports.charts.markup import element
from kfp_perf.reports.story import story_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from kfp_perf.reports.charts import Chart

_LONG = "MMMM WWWW, a name that takes more room than there is"
CROWDED = {
    "many at once": [Load(f"scenario {place}", 12, 0.0, 600.0, 60.0) for place in range(9)],
    "hours": [
        Load(_LONG, 30, 0.0, 40_000.0, 3000.0),
        Load("负载 b", 20, 20_000.0, 10_000.0, 9.0, failed=0.2, unfinished=0.1, cached=0.1),
    ],
    "a second": [Load("t", 3, 0.0, 1.0, 1.0)],
}

_OVERLAPS = """() => [...document.querySelectorAll("svg")].flatMap(svg => {
  const texts = [...svg.querySelectorAll("text")].map(text => [text.textContent, text.getBoundingClientRect()]);
  return texts.flatMap(([text, box], place) => texts.slice(place + 1).filter(([, other]) =>
      Math.min(box.right, other.right) - Math.max(box.left, other.left) > 1
      // The box of a text has some room above and below its letters.
      && Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top) > 2.5)
    .map(([covered]) => `${svg.getAttribute("aria-label").slice(0, 40)}: ${text} / ${covered}`));
})"""


@pytest.fixture
def page(browser: Any) -> Any:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def overlaps(page: Any, charts: Iterable[Chart]) -> list[str]:
    """The pairs of texts that cover each other in charts, drawn wide and narrow."""
    drawn = [
        element("div", chart.svg(width), style=f"width: {width}px")
        for chart in charts
        for width in (WIDE, NARROW)
    ]
    page.set_content(f"<style>{style_sheet()}</style>{''.join(drawn)}")
    assert page.locator("svg text").count() >= len(drawn)
    found: list[str] = page.evaluate(_OVERLAPS)
    return found


def test_the_check_finds_texts_that_cover_each_other(page: Any) -> None:
    page.set_content(
        "<svg aria-label='x'><text x='5' y='20'>left</text><text x='9' y='22'>right</text></svg>"
    )
    assert page.evaluate(_OVERLAPS) == ["x: left / right"]


def test_no_text_covers_another_in_any_kind_of_result(page: Any, tmp_path: Path) -> None:
    results = [make_kind(tmp_path / name, *kind) for name, kind in KINDS.items()]
    assert overlaps(page, [chart for result in results for chart in story_of(result).charts()]) == []


@pytest.mark.parametrize("name", CROWDED)
def test_no_text_covers_another_where_it_is_crowded(page: Any, tmp_path: Path, name: str) -> None:
    result = make_result(tmp_path, SampleTest(loads=tuple(CROWDED[name])))
    assert overlaps(page, story_of(result).charts()) == []


@pytest.mark.parametrize("seconds", [7.0, 600.0, 7200.0, 864_000.0])
def test_letters_and_moments_have_rows_of_their_own(page: Any, seconds: float) -> None:
    letters = [*string.ascii_uppercase, "A2", "B2"]
    bands = [Band(letter, seconds * place / 60, seconds) for place, letter in enumerate(letters)]
    moments = [(seconds * place / 9, f"{letter} behind") for place, letter in enumerate("ABC")]
    chart = xy_chart(
        "c",
        "t",
        "a",
        clock_axis(seconds),
        count_axis(1e7, "a label of the axis that is rather long, " * 2),
        [Line("l", [(0.0, 1.0), (seconds, 1e7)])],
        bands=bands,
        moments=moments,
    )
    assert overlaps(page, [chart]) == []


def test_texts_are_not_wider_than_is_reckoned_with(page: Any) -> None:
    texts = [*string.ascii_letters, *string.digits, *string.punctuation, "—…–×", "负载", "2 min 30 s", _LONG]
    drawn = [element("svg", element("text", text), class_="chart") for text in texts]
    page.set_content(f"<style>{style_sheet()}</style>{''.join(drawn)}")
    widths = page.evaluate("[...document.querySelectorAll('text')].map(text => text.getComputedTextLength())")
    wider = {text: width for text, width in zip(texts, widths, strict=True) if width > text_width(text) + 0.5}
    assert wider == {}
