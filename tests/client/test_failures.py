"""For every answer of a target, the error states the answer and the remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.client import failures
from kfp_perf.errors import ApiAnswerError, ApiStatusError

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
