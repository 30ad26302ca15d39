"""For every answer of a target, the error states the answer and the remedy."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.client import failures
from kfp_perf.client.pool import NotConnected
from kfp_perf.errors import ApiAnswerError, ApiInterrupted, ApiStatusError, ApiUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    Play = Callable[..., Any]
    Behave = Any

LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>\n Sign in &amp; go </title></head><body>...</body></html>"


def _status_error(play: Play, behaviour: Any, **settings: Any) -> ApiStatusError:
    async def scene(it: Any) -> ApiStatusError:
        with pytest.raises(ApiStatusError) as caught:
            await it.client.get_run("run-1")
        (sample,) = it.samples
        assert (sample.status, sample.error) == (caught.value.status, str(caught.value.status))
        return caught.value

    error = play(scene, behaviour, **settings)
    assert isinstance(error, ApiStatusError)
    return error


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"code": 5, "message": "a: b: Run x not found", "details": [{"message": "Run x not found"}]},
            "Run x not found",
        ),
        ({"error": "old", "code": 5, "message": "old", "details": []}, "old"),
        ({"error": "very old"}, "very old"),
        ({"code": 5, "message": "Not Found"}, "Not Found"),
        ({"code": 5, "message": "a: Run x not found", "details": None, "error": None}, "a: Run x not found"),
        # KFP's own internal errors: the detail is a constant.
        (
            {
                "code": 13,
                "message": "Failed to create a new run: InternalServerError: Error 1205: Lock wait timeout",
                "details": [{"code": 13, "message": "Internal Server Error"}],
            },
            "Failed to create a new run: InternalServerError: Error 1205: Lock wait timeout",
        ),
        (
            {"message": "x: database is down", "details": [{"message": "Service unavailable"}]},
            "x: database is down",
        ),
        ({"details": [{"message": "Internal Server Error"}]}, "Internal Server Error"),
        (
            {
                "message": "Internal error: no component\nFailed\ngithub.com/kubeflow/x.Wrap\n\t/src/error.go:1",
                "details": [{"message": "Internal Server Error"}],
            },
            "Internal error: no component Failed",
        ),
        (b"\x1f\x8b\x08\x00", "compressed bytes"),
        (
            {"error_message": "Failed to read a pipeline spec file", "error_details": "chain"},
            "Failed to read a pipeline spec file",
        ),
        (b"404 page not found\n", "text, '404 page not found'"),
        (b"", "no explanation"),
        (b"\xff\xfe\x00", "text, '\ufffd\ufffd'"),
        ({"something": "else"}, 'JSON of another shape, \'{"something": "else"}\''),
        ([1, 2], "text, '[1, 2]'"),
        (LOGIN_PAGE, "an HTML page, “Sign in & go”"),
        (b"<html><body>no title", "an HTML page"),
    ],
)
def test_the_shortest_explanation_is_given(play: Play, behave: Behave, body: Any, message: str) -> None:
    error = _status_error(play, behave.answer(body, 404))
    assert (error.message, error.operation) == (message, "GetRun")


@pytest.mark.parametrize(
    ("body", "from_kfp"),
    [
        ({"code": 13, "message": "a: b", "details": [{"code": 13, "message": "b"}]}, True),
        ({"code": 12, "message": "Method Not Allowed"}, True),
        ({"error": "old", "code": 5, "message": "old"}, True),
        ({"error_message": "Failed to create a pipeline", "error_details": "chain"}, True),
        ({"code": 504, "message": "upstream request timeout"}, False),
        ({"message": "Internal server error"}, False),
        ({"error": "timeout"}, False),
        ({"code": 13}, False),
        (b"stream timeout", False),
        (LOGIN_PAGE, False),
        (b"", False),
    ],
)
def test_an_answer_of_kfp_is_told_from_that_of_a_proxy(
    play: Play, behave: Behave, body: Any, from_kfp: bool
) -> None:
    assert _status_error(play, behave.answer(body, 500)).from_kfp is from_kfp


def test_what_a_terminal_would_obey_is_taken_out(play: Play, behave: Behave) -> None:
    body = {"message": "no \x1b[31mroom\x07 left\u202e\x9b2J\nthere"}
    assert _status_error(play, behave.answer(body, 400)).message == "no [31mroom left2J there"


def test_of_a_long_chain_the_end_is_kept_which_is_the_cause(play: Play, behave: Behave) -> None:
    chain = (
        "Failed to create a new run: "
        + "InternalServerError: " * 50
        + "Error 1205: Lock wait timeout exceeded"
    )
    body = {"code": 13, "message": chain, "details": [{"message": "Internal Server Error"}]}
    message = _status_error(play, behave.answer(body, 500)).message
    assert message.startswith("Failed to create a new run")
    assert message.endswith("Error 1205: Lock wait timeout exceeded")
    assert len(message) == failures.LONGEST_MESSAGE


def test_envoys_reason_is_given_in_full(play: Play, behave: Behave) -> None:
    reason = (
        "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: "
        "remote connection failure, transport failure reason: delayed connect error: Connection refused"
    )
    error = _status_error(play, behave.answer(reason.encode(), 503), retries=0)
    assert reason in error.message
    assert "cannot reach it" in error.hint


def test_a_long_explanation_is_cut_to_one_line(play: Play, behave: Behave) -> None:
    error = _status_error(play, behave.answer({"message": "word\n" * 10_000}, 500))
    assert len(error.message) == failures.LONGEST_MESSAGE
    assert "\n" not in error.message


@pytest.mark.parametrize(
    ("status", "settings", "hint"),
    [
        (401, {}, "Give KFP_TOKEN"),
        (401, {"KFP_TOKEN": "t0k3n"}, "expired"),
        (403, {}, "KFP_USER"),
        (404, {}, "path"),
        (407, {}, "HTTP_PROXY"),
        (413, {}, "size"),
        (429, {}, "limits the rate"),
        (500, {}, ""),
        (502, {}, "proxy"),
        (503, {}, "proxy"),
        (504, {}, "proxy"),
    ],
)
def test_hints(play: Play, behave: Behave, status: int, settings: dict[str, str], hint: str) -> None:
    error = _status_error(
        play, behave.answer({"code": 5, "message": "Not Found"}, status), retries=0, **settings
    )
    assert hint in error.hint
    assert bool(hint) == bool(error.hint)


@pytest.mark.parametrize(
    "body",
    [
        b"Client sent an HTTP request to an HTTPS server.\n",
        b"<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>",
    ],
    ids=["Go", "nginx"],
)
def test_plain_http_to_a_port_of_https_is_told(play: Play, behave: Behave, body: bytes) -> None:
    assert "begins with https://" in _status_error(play, behave.answer(body, 400)).hint


def test_a_404_of_a_thing_has_no_hint_about_the_path(play: Play, behave: Behave) -> None:
    assert _status_error(play, behave.answer({"details": [{"message": "Run x not found"}]}, 404)).hint == ""


@pytest.mark.parametrize("status", [200, 404])
def test_a_page_of_the_dashboard_wants_the_path(play: Play, behave: Behave, status: int) -> None:
    page = b"<!DOCTYPE html><html><head><title>Kubeflow Central Dashboard</title></head></html>"

    async def scene(it: Any) -> None:
        with pytest.raises((ApiAnswerError, ApiStatusError)) as caught:
            await it.client.get_run("run-1")
        assert "https://host/pipeline" in caught.value.hint
        assert "KFP_TOKEN" not in caught.value.hint

    play(scene, behave.answer(page, status))


def test_an_answer_that_is_compressed_all_the_same_is_named(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        assert it.client.url
        with pytest.raises(ApiAnswerError, match=r"compressed \(gzip\)") as caught:
            await it.client.get_run("run-1")
        assert "Accept-Encoding" in caught.value.hint

    play(scene, behave.answer(b"\x1f\x8b\x08\x00", Content_Encoding="gzip"))


def test_redirects_are_not_followed(play: Play, behave: Behave) -> None:
    answer = behave.answer(b"", 302, Location="https://login.example.com/oauth2/start?rd=secret")
    error = _status_error(play, answer)
    assert error.message == "redirected to https://login.example.com/oauth2/start"
    assert "KFP_TOKEN" in error.hint


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (LOGIN_PAGE, "an HTML page, “Sign in & go”"),
        (b"OK", "text, 'OK'"),
        (b"", "an empty answer"),
        (b'{"run_id": 5}', "JSON of another shape"),
        (b'{"run_id": 5}', "(Expected str, got int at $.run_id)"),
        (b'{"run_id": "a", "state_history": [{"state": []}]}', "at $.state_history[0].state"),
        (b'{"run_id": null}', "(Object missing required field run_id)"),
        (b'{"display_name": "no id"}', "JSON of another shape"),
        (b'{"run_id": "a", "state": ', "text"),
        (b"[]", "text, '[]'"),
        (b"\xff", "text"),
        (b"[" * 100_000, "text"),
    ],
)
def test_a_good_status_with_something_else_than_kfps_answer(
    play: Play, behave: Behave, body: bytes, words: str
) -> None:
    async def scene(it: Any) -> None:
        with pytest.raises(ApiAnswerError) as caught:
            await it.client.get_run("run-1")
        assert words in caught.value.message
        assert caught.value.hint
        (sample,) = it.samples
        assert (sample.status, sample.error, sample.attempts[0].unknown) == (200, "answer", False)
        assert sample.attempts[0].received_bytes == len(body)

    play(scene, behave.answer(body))


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP", "8888"),
        (b"\x15\x03\x01\x00\x02\x02\x0a", "the answer is not HTTP, but TLS", "https://"),
        (b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00", "but HTTP/2", "gRPC"),
        (b"HTTP/1.1 two hundred\r\n\r\n", "HTTP is malformed: Invalid status code", "proxy"),
        (b"HTTP/1.1 \r\n\r\n", "HTTP is malformed: Invalid status code", "proxy"),
        (b"HTTP/1.1 000 x\r\n\r\n", "HTTP is malformed: 0 is no status", "proxy"),
        (b"HTTP/1.1 200 OK\nA: b\n\n", "HTTP is malformed: Missing expected CR", "proxy"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", "HTTP is malformed", "proxy"),
        (b"HTTP/1.1 101 X\r\nUpgrade: a\r\nConnection: Upgrade\r\n\r\nx", "another protocol", "WebSocket"),
    ],
)
def test_an_answer_that_is_not_http(
    play: Play, behave: Behave, content: bytes, message: str, hint: str
) -> None:
    async def scene(it: Any) -> None:
        with pytest.raises(ApiAnswerError) as caught:
            await it.client.get_run("run-1")
        assert message in caught.value.message
        assert hint in caught.value.hint

    play(scene, behave.raw(content))


@pytest.mark.parametrize(
    "content",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"run_id":',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{",
    ],
)
def test_an_answer_that_is_cut_off_is_repeated(play: Play, behave: Behave, content: bytes) -> None:
    async def scene(it: Any) -> None:
        assert (await it.client.get_run("run-1")).run_id == "run-1"
        assert [attempt.error for attempt in it.attempts] == ["cut", ""]
        assert it.samples[0].status == 200

    play(scene, behave.raw(content), behave.answer({"run_id": "run-1"}))


def test_a_head_that_is_cut_off(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        with pytest.raises(ApiInterrupted):
            await it.client.get_run("run-1")
        assert [attempt.error for attempt in it.attempts] == ["reset"]

    play(scene, behave.raw(b"HTTP/1.1 200 OK\r\nContent-Le"), retries=0)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"])
def test_a_server_that_stalls_is_given_up_on(play: Play, behave: Behave, head: bytes) -> None:
    async def stall(request: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await asyncio.Event().wait()

    async def scene(it: Any) -> None:
        with pytest.raises(ApiInterrupted, match="KFP_PERF_REQUEST_TIMEOUT_SECONDS"):
            await it.client.get_run("run-1")
        assert [attempt.error for attempt in it.attempts] == ["timeout", "timeout"]

    play(scene, stall, request_timeout_seconds=0.05, retries=1)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n%b\r\n"),
        (b"", b"Field: %b\r\n"),
    ],
    ids=["body", "fields"],
)
def test_an_endless_answer_is_given_up_on(
    play: Play, monkeypatch: pytest.MonkeyPatch, head: bytes, piece: bytes
) -> None:
    monkeypatch.setattr("kfp_perf.client.connection.LARGEST_ANSWER_BYTES", 2**20)

    async def pour(request: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + head)
        while not writer.transport.is_closing():
            writer.write(piece % (b"x" * 65_536))
            await writer.drain()
            await asyncio.sleep(0)

    async def scene(it: Any) -> None:
        with pytest.raises(ApiAnswerError, match="larger"):
            await it.client.get_run("run-1")

    play(scene, pour)


def test_a_large_answer_is_read_whole(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        run = await it.client.get_run("run-1")
        assert len(run.display_name) == 5_000_000
        assert it.attempts[0].received_bytes > 5_000_000

    play(scene, behave.answer({"run_id": "run-1", "display_name": "n" * 5_000_000}))


def test_a_name_that_does_not_resolve(play: Play, behave: Behave, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_host(*given: Any, **named: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_host)

    async def scene(it: Any) -> None:
        with pytest.raises(ApiUnreachable, match=r"kfp\.invalid does not resolve"):
            await it.client.get_run("run-1")
        assert [(attempt.error, attempt.sent) for attempt in it.attempts] == [("dns", 0.0)]

    play(scene, behave.close, KFP_API_HOST="http://kfp.invalid:8888", retries=0)


def test_a_wait_for_a_free_connection_that_is_too_long(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        await it.client.get_run("run-1")
        (pool,) = it.client._caller.transport._pools.values()
        held = pool.take()
        with pytest.raises(ApiUnreachable, match="KFP_PERF_MAX_CONNECTIONS"):
            await it.client.get_run("run-1")
        pool.release(held)
        waited = it.attempts[1]
        assert (waited.error, waited.sent, waited.unknown) == ("no_connection", 0.0, False)
        assert len(it.server.requests) == 1

    play(scene, behave.answer({"run_id": "run-1"}), max_connections=1, request_timeout_seconds=0.1)


def _not_connected(cause: Exception) -> NotConnected:
    error = NotConnected("kfp.test", 8888)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.EMFILE, "descriptors", "ulimit"),
        (errno.EADDRNOTAVAIL, "ports", "KFP_PERF_MAX_CONNECTIONS"),
        (errno.EHOSTUNREACH, "connect", "No route to host"),
    ],
)
def test_what_keeps_from_connecting_is_named(number: int, kind: str, words: str) -> None:
    error = failures.from_exception(
        "GetRun", _not_connected(OSError(number, os.strerror(number))), sent=False
    )
    assert (type(error), error.kind) == (ApiUnreachable, kind)
    assert words in str(error)


def test_a_connection_that_is_not_made_in_time_names_the_limit() -> None:
    error = failures.from_exception("CreateRun", _not_connected(TimeoutError()), sent=False)
    assert (type(error), error.kind, error.outcome_unknown) == (ApiUnreachable, "connect_timeout", False)
    assert "KFP_PERF_CONNECT_TIMEOUT_SECONDS" in error.hint
