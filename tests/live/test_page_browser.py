"""The live page in a browser. Skipped, with the reason, where there is no Chromium or no playwright."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from browser import accessibility_problems

from kfp_perf.live.page import PageServer, State
from kfp_perf.live.snapshot import FeedMessage, Finish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kfp_perf.live import Snapshot


@pytest.fixture
def server() -> Iterator[PageServer]:
    with PageServer(State()) as started:
        threading.Thread(target=started.serve_forever, args=(0.01,), daemon=True).start()
        yield started
        started.shutdown()


@pytest.fixture
def looking(browser: Any, server: PageServer) -> Iterator[Callable[..., Any]]:
    """Open the page in a new window; its requests and its errors are recorded."""
    contexts = []

    def look(width: int = 1280, scheme: str = "light") -> Any:
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.asked, page.complaints = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(server.address)
        return page

    yield look
    for context in contexts:
        context.close()


def test_it_follows_the_test_to_its_end_and_to_the_report(
    looking: Any, server: PageServer, snapshot: Callable[..., Snapshot], tmp_path: Path
) -> None:
    page = looking()
    page.get_by_text("The test is being prepared.").wait_for()
    for second in range(20):
        server.state.take(FeedMessage(snapshot=snapshot(float(second))))
    page.get_by_text("0:19 of 1:30 min").wait_for()
    assert page.locator("#charts figure").count() == 4

    second_viewer = looking(400, "dark")
    second_viewer.get_by_text("0:19 of 1:30 min").wait_for()
    page.reload()
    assert page.locator("#charts figure").count() == 4

    server.state.take(FeedMessage(snapshot=snapshot(60.0)))
    for viewer in (page, second_viewer):
        viewer.get_by_text("1:00 of 1:30 min").wait_for()
        assert viewer.locator("b").count() == 0

    (tmp_path / "report.html").write_text("<!doctype html><title>x</title><h1>The report</h1>")
    server.state.take(FeedMessage(finish=Finish("passed", str(tmp_path / "report.html"))))
    for viewer in (page, second_viewer):
        viewer.get_by_text("Over: passed").wait_for()
        viewer.get_by_role("link", name="Open the report").click()
        viewer.get_by_role("heading", name="The report").wait_for()
    for viewer in (page, second_viewer):
        assert viewer.complaints == []
        assert all(url.startswith(server.address) for url in viewer.asked)


def test_it_says_when_nobody_answers_any_more(
    looking: Any, server: PageServer, snapshot: Callable[..., Snapshot]
) -> None:
    server.state.take(FeedMessage(snapshot=snapshot()))
    page = looking()
    assert page.locator("#away").is_hidden()
    page.route("**/state*", lambda route: route.abort())
    page.get_by_text("There are no new figures").wait_for()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_everybody_can_read_it(
    looking: Any, server: PageServer, snapshot: Callable[..., Snapshot], width: int, scheme: str
) -> None:
    for second in range(10):
        server.state.take(FeedMessage(snapshot=snapshot(float(second))))
    page = looking(width, scheme)
    assert accessibility_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
