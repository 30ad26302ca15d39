from __future__ import annotations

import asyncio
import os
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.client import RestClient
from kfp_perf.client.auth import TOKEN_FILE_CHECK_SECONDS, Credentials, tls_context
from kfp_perf.client.messages import RunSpec
from kfp_perf.config import TestConfig
from kfp_perf.errors import ApiError, ApiStatusError, InputError
from kfp_perf.observe import Observer, TrackedRun
from kfp_perf.pacing import RealClock
from kfp_perf.result.records import CallOutcome, Purpose
from kfp_perf.result.scenario_writer import ScenarioWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Play = Callable[..., Any]
    Behave = Any

RUN = {"run_id": "run-1"}


def _replace(path: Path, text: str) -> None:
    """Replace a file as Kubernetes does: by another one."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)  # noqa: PTH105


def test_credentials_travel_in_headers(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        await it.client.get_run("run-1")
        headers = it.server.requests[0].headers
        assert headers["Authorization"] == "Bearer t0k3n"
        assert headers["Cookie"] == "authservice_session=abc; other=1"
        assert headers["kubeflow-userid"] == "user@example.com"
        assert headers["X-Request-Id"] == "test-1"

    play(
        scene,
        behave.answer(RUN),
        KFP_TOKEN="t0k3n\n",
        KFP_COOKIE="authservice_session=abc; other=1",
        KFP_USER="user@example.com",
    )


def test_the_user_header_has_the_name_that_is_set(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        await it.client.get_run("run-1")
        assert it.server.requests[0].headers["x-goog-authenticated-user-email"] == "accounts.google.com:me"

    play(
        scene,
        behave.answer(RUN),
        KFP_USER="accounts.google.com:me",
        KFP_USER_HEADER="x-goog-authenticated-user-email",
    )


def test_without_credentials_nothing_is_sent(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        await it.client.get_run("run-1")
        assert it.server.requests[0].headers.keys().isdisjoint({"Authorization", "Cookie", "kubeflow-userid"})

    play(scene, behave.answer(RUN))


def test_cookies_that_a_server_sets_are_not_kept(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        await it.client.get_run("run-1")
        await it.client.get_run("run-1")
        assert "Cookie" not in it.server.requests[1].headers

    play(scene, behave.answer(RUN, Set_Cookie="AWSALB=sticky; Path=/"))


def test_a_token_file_that_changes_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    path = tmp_path / "token"
    path.write_text("first\n")
    credentials = Credentials(TestConfig(KFP_TOKEN_FILE=path))
    assert credentials.headers() == {"Authorization": "Bearer first"}
    _replace(path, "second\n")
    assert credentials.headers() == {"Authorization": "Bearer first"}
    now += TOKEN_FILE_CHECK_SECONDS
    assert credentials.headers() == {"Authorization": "Bearer second"}
    path.unlink()
    now += TOKEN_FILE_CHECK_SECONDS
    assert credentials.headers() == {"Authorization": "Bearer second"}


def test_a_token_that_expired_is_renewed_and_the_call_repeated(
    play: Play, behave: Behave, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text("old")

    async def expired(request: Any, writer: Any) -> None:
        _replace(path, "new")
        await behave.answer({"message": "expired"}, 401)(request, writer)

    async def scene(it: Any) -> None:
        await it.client.create_run(RunSpec(name="r"))
        tokens = [request.headers["Authorization"] for request in it.server.requests]
        assert tokens == ["Bearer old", "Bearer new"]
        assert [attempt.status for attempt in it.attempts] == [401, 200]
        assert it.clock.waits == []

    play(scene, expired, behave.answer(RUN), KFP_TOKEN_FILE=path)


def test_a_token_that_is_still_the_same_is_not_tried_again(
    play: Play, behave: Behave, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text("old")

    async def scene(it: Any) -> None:
        with pytest.raises(ApiStatusError):
            await it.client.get_run("run-1")
        assert len(it.server.requests) == 1

    play(scene, behave.answer(status=401), KFP_TOKEN_FILE=path)


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        ({"KFP_TOKEN": "two\nlines"}, "KFP_TOKEN"),
        ({"KFP_TOKEN": "  "}, "KFP_TOKEN"),
        ({"KFP_TOKEN": "wörter"}, "KFP_TOKEN"),
        ({"KFP_COOKIE": "a=1\r\nX-Injected: yes"}, "KFP_COOKIE"),
        ({"KFP_USER": "a\x00b"}, "KFP_USER"),
        ({"KFP_TOKEN_FILE": "/does/not/exist"}, "KFP_TOKEN_FILE"),
        ({"KFP_TOKEN_FILE": "/"}, "KFP_TOKEN_FILE"),
    ],
)
def test_credentials_that_cannot_be_sent_are_input_errors(settings: dict[str, str], variable: str) -> None:
    with pytest.raises(InputError) as caught:
        RestClient(TestConfig(**settings), RealClock())  # type: ignore[arg-type]
    assert [problem.where for problem in caught.value.problems] == [variable]
    assert (
        settings.get("KFP_TOKEN", "two").strip().split("\n")[0] not in str(caught.value)
        or not settings.get("KFP_TOKEN", "").strip()
    )


def test_no_secret_in_reprs_errors_or_samples(play: Play, behave: Behave) -> None:
    secrets = ("s3cr3t-t0k3n", "c00kie-s3cr3t")

    async def scene(it: Any) -> list[str]:
        said = [repr(it.client), repr(it.client.for_purpose(Purpose.OBSERVE))]
        for _ in range(3):
            with pytest.raises(ApiError) as caught:
                await it.client.get_run("run-1")
            error = caught.value
            said += [str(error), repr(error), error.hint, str(pickle.dumps(error)), repr(error.__cause__)]
        return [*said, *map(repr, it.samples)]

    said = play(
        scene,
        behave.answer({"message": f"bad token s3cr3t-t0k3n in session={secrets[1]}"}, 400),
        behave.answer(b"echo: Bearer s3cr3t-t0k3n"),
        behave.close,
        KFP_TOKEN=secrets[0],
        KFP_COOKIE=f"session={secrets[1]}",
        retries=0,
    )
    assert len(said) == 2 + 3 * 5 + 3
    assert not [text for text in said for secret in secrets if secret in text]
    assert "s3cr3t" not in repr(Credentials(TestConfig(KFP_TOKEN=secrets[0])))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, rb'{"message": "bad token s3cr3t\u002ft0k3n"}'),
        (400, {"message": "x" * 290 + " s3cr3t/t0k3n"}),
        (500, {"message": "expected cookie c00kie-s3cr3t"}),
        (403, {"details": [{"message": "sent Authorization: Bearer of-someone-else"}]}),
        (502, b"<html><title>s3cr3t&#47;t0k3n</title></html>"),
        (200, b"<html><title>s3cr3t&#47;t0k3n</title></html>"),
        (200, b"echo c00kie-s3cr3t"),
    ],
)
def test_no_secret_in_a_samples_message_however_a_server_repeats_it(
    play: Play, behave: Behave, status: int, body: Any
) -> None:
    async def scene(it: Any) -> str:
        with pytest.raises(ApiError) as caught:
            await it.client.get_run("run-1")
        (sample,) = it.samples
        assert sample.message == caught.value.message
        message: str = sample.message
        return message

    said = play(
        scene,
        behave.answer(body, status),
        KFP_TOKEN="s3cr3t/t0k3n",
        KFP_COOKIE="theme=dark; session=c00kie-s3cr3t",
        retries=0,
    )
    assert said
    for part in ("s3cr3t", "t0k3n", "c00kie-", "of-someone-else"):
        assert part not in said


def test_no_secret_in_the_files_when_a_server_repeats_it_in_a_run_that_failed(
    play: Play, behave: Behave, tmp_path: Path
) -> None:
    token = "s3cr3t-t0k3n"
    failed = {
        **RUN,
        "state": "FAILED",
        "error": {"message": f"sent {token}"},
        "created_at": "2026-08-01T10:00:00Z",
    }

    async def scene(it: Any) -> str:
        writer = ScenarioWriter(tmp_path / "s", it.clock.now())
        observer = Observer(it.client, it.clock)
        observing = asyncio.ensure_future(observer.run())
        seen = observer.watch(TrackedRun(scenario="s", name="r", run_id="run-1", due=it.clock.now()))
        writer.run((await seen).record())
        await observer.aclose()
        await observing
        for sample in it.samples:
            writer.sample(sample, warmup=False)
        writer.close()
        return (tmp_path / "s" / "runs.jsonl").read_text() + (tmp_path / "s" / "calls.jsonl").read_text()

    refusal = behave.answer({"message": f"bad token {token}"}, 500)
    told = play(scene, refusal, refusal, behave.answer(failed), KFP_TOKEN=token, retries=0)
    assert "FAILED: sent [hidden]" in told
    assert "bad token [hidden]" in told
    assert token not in told


def test_what_becomes_of_an_attempt_that_is_given_up_is_said(play: Play, behave: Behave) -> None:
    arrived = asyncio.Event()

    async def stall(request: Any, writer: Any) -> None:
        arrived.set()
        await behave.stall(request, writer)

    async def scene(it: Any) -> None:
        asking = asyncio.ensure_future(it.client.get_run("run-1"))
        await arrived.wait()
        asking.cancel()
        await asyncio.wait({asking})
        (sample,) = it.samples
        assert sample.outcome is CallOutcome.CUT_OFF
        (attempt,) = sample.attempts
        assert (attempt.error, attempt.message) == ("cancelled", "kfp-perf stopped waiting for the answer")

    play(scene, stall)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"KFP_CA_CERT": "missing.pem"}, "does not exist"),
        ({"KFP_CA_CERT": "text.pem"}, "holds no certificate"),
        ({"KFP_CLIENT_CERT": "missing.pem"}, "does not exist"),
        ({"KFP_CLIENT_CERT": "text.pem"}, "holds no certificate"),
        ({"KFP_CLIENT_KEY": "text.pem"}, "without KFP_CLIENT_CERT"),
    ],
)
def test_certificates_that_cannot_be_used_are_input_errors(
    tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    (tmp_path / "text.pem").write_text("this is text")
    config = TestConfig(**{name: tmp_path / file for name, file in settings.items()})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=words) as caught:
        tls_context(config)
    assert caught.value.problems[0].where in settings
