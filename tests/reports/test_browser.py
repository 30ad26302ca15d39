"""The report in a browser. Skipped, with the reason, where there is no Chromium or no playwright."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from browser import accessibility_problems

from kfp_perf.reports import write_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kfp_perf.result.reader import TestResult


@pytest.fixture(scope="module")
def report(nightly: TestResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    (path,) = write_report(nightly, "html", tmp_path_factory.mktemp("page"))
    return path


@pytest.fixture
def opened(browser: Any, report: Path) -> Iterator[Callable[..., Any]]:
    """Open the report in a window; the page's requests and errors are recorded."""
    contexts = []

    def open_page(width: int = 1280, scheme: str = "light") -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.asked, page.complaints = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(report.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()


def test_names_of_the_server_run_nothing_and_the_page_asks_for_nothing(opened: Any, report: Path) -> None:
    page = opened()
    assert page.title().startswith('nightly <script>document.title = "owned"</script>: failed')
    assert page.locator("script").count() == 0
    assert page.asked == [report.as_uri()]
    assert page.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_everybody_can_read_it(opened: Any, width: int, scheme: str) -> None:
    assert accessibility_problems(opened(width, scheme)) == []


@pytest.mark.parametrize("width", [1280, 800, 400, 320])
def test_the_page_is_never_wider_than_its_window(opened: Any, width: int) -> None:
    page = opened(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shown = page.locator("figure svg:visible")
    assert shown.count() == page.locator("figure").count()
    assert ("narrow" in (shown.first.get_attribute("class") or "")) is (width <= 720)


@pytest.mark.parametrize("width", [1600, 1280, 1024, 990, 920, 800, 400, 320])
def test_no_table_is_cut(opened: Any, width: int) -> None:
    """Nothing is out of sight to the right: a phone shows a line for each cell."""
    cut = opened(width).evaluate(
        """() => [...document.querySelectorAll(".table")].filter(one => one.scrollWidth > one.clientWidth + 1)
          .map(one => one.getAttribute("aria-label"))"""
    )
    assert cut == []


def test_values_of_tiles_stay_in_their_tiles(opened: Any) -> None:
    for width in (1280, 1600, 400, 320):
        out = opened(width).evaluate(
            """() => [...document.querySelectorAll(".tiles .value")]
              .filter(one => one.scrollWidth > one.clientWidth)
              .map(one => one.textContent)"""
        )
        assert out == []


def test_words_in_charts_stay_inside_of_them_and_are_large_enough(opened: Any) -> None:
    for width in (1280, 400):
        found = opened(width).evaluate(
            """() => [...document.querySelectorAll("figure svg")].flatMap(picture => {
              const box = picture.getBoundingClientRect();
              return [...picture.querySelectorAll("text")].filter(_ => box.width).map(text => {
                const own = text.getBoundingClientRect();
                const out = own.left < box.left - 2 || own.right > box.right + 2;
                return {text: text.textContent, out, high: own.height};
              });
            })"""
        )
        assert found
        assert [one["text"] for one in found if one["out"]] == []
        assert min(one["high"] for one in found) >= 11


def test_dark_is_dark_and_paper_is_white(opened: Any) -> None:
    page = opened(1280, "dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(colour) == "rgb(13, 17, 23)"
    page.emulate_media(media="print")
    assert page.evaluate(colour) == "rgb(255, 255, 255)"
    assert page.locator("nav").is_hidden()
    assert page.locator("pre").first.is_visible()


def test_links_of_the_contents_lead_to_their_sections(opened: Any) -> None:
    page = opened()
    page.get_by_role("link", name="How did the API answer?").click()
    assert page.url.endswith("#api")
    assert page.get_by_role("heading", name="How did the API answer?").is_visible()
