from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest

from kfp_perf.live.page import PageServer, State, linger, read_feed
from kfp_perf.live.snapshot import FeedMessage, Finish, LogLine, ThresholdState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kfp_perf.live import Snapshot


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[PageServer]:
    with PageServer(State(), clock) as started:
        threading.Thread(target=started.serve_forever, args=(0.01,), daemon=True).start()
        yield started
        started.shutdown()


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def get(server: PageServer, path: str, host: str | None = None) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{server.server_port}"})
    answer = connection.getresponse()
    read = Answer(answer.status, answer.headers, answer.read())
    connection.close()
    return read


def state_of(server: PageServer, seen: str = "") -> Any:
    return json.loads(get(server, f"/{server.token}/state?seen={seen}").body)


@pytest.mark.parametrize(
    "path", ["/", "/state", "/wrong/", "/wrong/state", "/../etc/passwd", "/{token}/../x", "/{token}/no"]
)
def test_nothing_is_told_without_the_token(server: PageServer, path: str) -> None:
    answer = get(server, path.format(token=server.token))
    assert (answer.status, answer.body) == (404, b"")


def test_other_sites_cannot_reach_the_page_by_a_name_of_their_own(server: PageServer) -> None:
    path = f"/{server.token}/"
    assert get(server, path, "evil.example").status == 404
    assert get(server, path, f"localhost:{server.server_port}").status == 200


def test_tokens_are_random_and_the_server_is_on_this_machine_only(server: PageServer) -> None:
    with PageServer(State()) as other:
        assert other.token != server.token
        assert len(other.token) >= 20
    assert server.server_address[0] == "127.0.0.1"


def test_the_page_holds_the_state_and_may_load_nothing_from_elsewhere(
    server: PageServer, snapshot: Callable[..., Snapshot]
) -> None:
    server.state.take(FeedMessage(snapshot=snapshot()))
    answer = get(server, f"/{server.token}/")
    text = answer.body.decode()
    assert "in flight" in text
    assert "&lt;b&gt;evil&lt;/b&gt;" in text
    assert "<b>evil" not in text
    assert (answer.headers["Content-Security-Policy"] or "").startswith("default-src 'none'")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "http://" not in text.replace("http://localhost:8888", "").replace("http://www.w3.org", "")
    assert get(server, f"/{server.token}/page.js").body.startswith(b"//")


def test_the_page_shows_the_thresholds_so_far(snapshot: Callable[..., Snapshot]) -> None:
    state = State()
    kept = ThresholdState("run.visible.p95", "< 5m", "seconds", "kept", 34.2, at_least=True)
    broken = ThresholdState(
        "run.success_rate", ">= 90% over 5m", "share", "not kept", 0.85, "<b>evil</b>", final=True
    )
    later = ThresholdState("run.duration.p95", "< 90s", "seconds", "at the end")
    state.take(FeedMessage(snapshot=snapshot(thresholds=[kept, later, broken])))
    part = str(state.parts()[1]["thresholds"])
    assert part.index("run.success_rate") < part.index("run.visible.p95"), "those that are not kept first"
    for text in (
        "&gt;= 90% over 5m",
        "85 %",
        "</span> not kept<",
        "≥ 34.2 s",
        "kept so far",
        "&lt;b&gt;evil",
    ):
        assert text in part
    assert "1 threshold is judged at the end" in part
    assert "run.duration.p95" not in part
    state.take(FeedMessage(snapshot=snapshot()))
    assert str(state.parts()[1]["thresholds"]) == ""


def test_what_was_seen_is_not_sent_again(server: PageServer, snapshot: Callable[..., Snapshot]) -> None:
    server.state.take(FeedMessage(snapshot=snapshot(10.0)))
    first = state_of(server)
    assert get(server, f"/{server.token}/state?seen={first['version']}").status == 204
    server.state.take(FeedMessage(snapshot=snapshot(11.0)))
    second = state_of(server, str(first["version"]))
    assert second["version"] != first["version"]
    assert "0:11 of 1:30" in second["parts"]["state"]
    assert state_of(server)["parts"] == second["parts"]


def test_charts_grow(server: PageServer, snapshot: Callable[..., Snapshot]) -> None:
    server.state.take(FeedMessage(snapshot=snapshot(1.0)))
    assert state_of(server)["parts"]["charts"] == ""
    server.state.take(FeedMessage(snapshot=snapshot(2.0)))
    few = state_of(server)["parts"]["charts"]
    assert few.count("<figure") == 4
    for second in range(3, 40):
        server.state.take(FeedMessage(snapshot=snapshot(float(second))))
    assert len(state_of(server)["parts"]["charts"]) > len(few)


def test_the_end_leads_to_the_report(
    server: PageServer, snapshot: Callable[..., Snapshot], tmp_path: Path
) -> None:
    assert get(server, f"/{server.token}/report.html").status == 404
    server.state.take(FeedMessage(snapshot=snapshot()))
    (tmp_path / "report.html").write_text("<p>the report")
    why = "1 of 1 thresholds failed: run.duration.p95 is 2 s, not < 1s."
    server.state.take(FeedMessage(finish=Finish("failed", str(tmp_path / "report.html"), why)))
    state = state_of(server)["parts"]["state"]
    assert "Over: failed" in state
    assert why.replace("<", "&lt;") in state
    assert 'href="report.html"' in state
    assert get(server, f"/{server.token}/report.html").body == b"<p>the report"
    (tmp_path / "report.html").unlink()
    assert get(server, f"/{server.token}/report.html").status == 404


def test_a_test_that_died_is_not_shown_as_if_it_went_on(
    server: PageServer, snapshot: Callable[..., Snapshot]
) -> None:
    assert "being prepared" in state_of(server)["parts"]["state"]
    server.state.take(FeedMessage(snapshot=snapshot()))
    server.state.end()
    assert "Ended without a result" in state_of(server)["parts"]["state"]


def test_lines_that_were_cut_are_passed_over(snapshot: Callable[..., Snapshot]) -> None:
    whole = msgspec.json.encode(FeedMessage(snapshot=snapshot(7.0)))
    state = State()
    read_feed([b"\n", whole[:50] + b"\n", b"{}\n", b'{"snapshot": 5}\n', whole + b"\n"], state)
    assert state.snapshot == snapshot(7.0)
    assert not state.fed
    assert len(state.history.points) == 1


def test_log_lines_are_no_news_for_the_page() -> None:
    state = State()
    state.take(FeedMessage(log=LogLine("hello", 20)))
    assert state.version == 0


def test_the_server_stays_for_as_long_as_somebody_looks(server: PageServer, clock: Clock) -> None:
    looks = iter([True] * 5)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if next(looks, False):
            assert get(server, f"/{server.token}/state").status == 200

    linger(server, 60.0, sleep)
    assert clock.now == 100.0 + 5.0 + 60.0


def test_the_program_tells_its_address_and_ends_after_its_input(snapshot: Callable[..., Snapshot]) -> None:
    command = [sys.executable, "-m", "kfp_perf.live.page", "--linger", "0.1"]
    program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert program.stdin is not None
    assert program.stdout is not None
    address = program.stdout.readline().decode()
    assert address.startswith("http://127.0.0.1:")
    program.stdin.write(msgspec.json.encode(FeedMessage(snapshot=snapshot())) + b"\n")
    program.stdin.close()
    # Its output ends at once, so that whoever reads it does not wait for those who look at the page.
    assert program.stdout.read() == b""
    program.stdout.close()
    assert program.wait(30) == 0


def test_it_is_served_where_the_user_wants_it(unused_port: int) -> None:
    with PageServer(State(), port=unused_port) as server:
        assert server.address.startswith(f"http://127.0.0.1:{unused_port}/")
        assert server.hosts == {f"127.0.0.1:{unused_port}", f"localhost:{unused_port}"}
    with PageServer(State(), host="0.0.0.0") as server:
        assert server.hosts is None
        assert server.address == f"http://{socket.gethostname()}:{server.server_port}/{server.token}/"


def test_elsewhere_than_on_loopback_the_token_decides() -> None:
    with PageServer(State(), host="0.0.0.0") as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        assert get(server, f"/{server.token}/", "kfp-perf.test").status == 200
        assert get(server, "/", "kfp-perf.test").status == 404
        assert get(server, "/wrong/", "kfp-perf.test").status == 404
        server.shutdown()


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
