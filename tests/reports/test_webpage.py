from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from sample_results import Load, SampleTest

from kfp_perf.reports.webpage import draw_webpage

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.result.reader import TestResult

# Elements that HTML knows to be without an end.
_VOID = {"meta", "br", "img", "link", "input", "hr"}


class Reading(HTMLParser):
    """A page as a list of elements; fails where ends do not fit their beginnings."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.found if found == tag]


def read(result: TestResult) -> Reading:
    return Reading(draw_webpage(result)["report.html"].decode())


@pytest.fixture(scope="module")
def reading(nightly: TestResult) -> Reading:
    return read(nightly)


def test_the_page_asks_nobody_for_anything(reading: Reading, nightly: TestResult) -> None:
    assert not {tag for tag, _ in reading.found} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "image",
        "use",
    }
    page = draw_webpage(nightly)["report.html"].decode()
    assert "@import" not in page
    assert re.findall(r"url\((?!#hatch\d\))", page) == []
    (policy,) = [one["content"] for one in reading.all("meta") if one.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy


def test_names_from_the_server_are_text(reading: Reading, nightly: TestResult) -> None:
    evil = '<script>document.title = "owned"</script>'
    assert f"nightly {evil}" in reading.text
    assert f"run {evil}: 500" in reading.text
    assert "task <script>document.title" in reading.text
    assert b"<script" not in draw_webpage(nightly)["report.html"]


def test_the_verdict_comes_first(reading: Reading) -> None:
    places = [
        place
        for place, (tag, attributes) in enumerate(reading.found)
        if tag == "h1" or "verdict" in str(attributes.get("class"))
    ]
    first_section = next(place for place, (tag, _) in enumerate(reading.found) if tag == "section")
    assert places[1] - places[0] == 1
    assert places[1] < first_section


def test_headings_and_tables_are_marked_as_such(reading: Reading) -> None:
    assert len(reading.all("h1")) == 1
    assert {tag for tag, _ in reading.found if re.fullmatch(r"h\d", tag)} == {"h1", "h2"}
    assert len(reading.all("caption")) == len(reading.all("table"))
    assert all(one.get("scope") for one in reading.all("th"))


def test_links_of_the_contents_lead_somewhere(reading: Reading) -> None:
    ids = [attributes["id"] for _, attributes in reading.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    inner = [one["href"] for one in reading.all("a") if (one["href"] or "").startswith("#")]
    assert inner
    assert {f"#{one}" for one in ids} >= set(inner)


def test_every_picture_has_its_text(reading: Reading) -> None:
    pictures = [one for one in reading.all("svg") if one.get("aria-hidden") != "true"]
    assert len(pictures) > 10
    assert all(one.get("role") == "img" and len(one.get("aria-label") or "") > 10 for one in pictures)


@pytest.mark.parametrize("which", ["nightly", "empty"])
def test_the_page_is_whole(which: str, request: pytest.FixtureRequest) -> None:
    assert read(request.getfixturevalue(which)).all("main")


def test_of_ten_thousand_runs_the_page_stays_small(sample: Callable[[SampleTest], TestResult]) -> None:
    loads = (
        Load("steady", 7000, 0.0, 600.0, 45.0, failed=0.02),
        Load("tail", 3000, 150.0, 300.0, 240.0, unfinished=0.05),
    )
    page = draw_webpage(sample(SampleTest(loads=loads)))["report.html"]
    assert len(page) < 1_000_000  # promised are five


def test_what_cannot_be_written_as_text_does_no_harm(sample: Callable[[SampleTest], TestResult]) -> None:
    result = sample(SampleTest(loads=(Load("a", 3, 0, 10, 5),)))
    odd: Any = {"name": "\x00\ud800 \u202e", "leftovers": [None, 5, {"a": 1}], "warnings": [None]}
    result.document.update(odd)
    assert b"</html>" in draw_webpage(result)["report.html"]
