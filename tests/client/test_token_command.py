from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.client import token_command as module
from kfp_perf.client.auth import Credentials
from kfp_perf.client.messages import RunSpec
from kfp_perf.client.token_command import PAUSE_SECONDS, TokenCommand, token_command
from kfp_perf.config import TestConfig
from kfp_perf.errors import ApiStatusError, InputError, Problem
from kfp_perf.secret_command import PrintedSecret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Play = Callable[..., Any]
    Behave = Any

RUN = {"run_id": "run-1"}


class Printed:
    """Commands that print token-1, token-2 and so on, each valid for so long, at times that the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lasts_seconds: float | None) -> None:
        self.now = 100.0
        self.runs = 0
        self.fails = False
        self.lasts_seconds = lasts_seconds
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "time", lambda: 1e9 + self.now)
        monkeypatch.setattr(module, "run_secret_command", self.run)

    def run(self, command: tuple[str, ...], where: str) -> PrintedSecret:
        self.runs += 1
        if self.fails:
            raise InputError(Problem(where, "failed"))
        expires = None if self.lasts_seconds is None else 1e9 + self.now + self.lasts_seconds
        return PrintedSecret(f"token-{self.runs}", expires)


def test_the_token_is_renewed_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = Printed(monkeypatch, lasts_seconds=3600.0)
    command = TokenCommand(("print-token",))
    assert command.start() == "token-1"
    assert command.start() == "token-1"
    printed.now += 3539.0
    assert command.renew_in_time() == "token-1"
    assert printed.runs == 1
    printed.now += 1.0
    command.renew_in_time()
    command.renewal("token-1").result(10)
    assert command.renew_in_time() == "token-2"
    assert printed.runs == 2


def test_a_token_that_expires_soon_is_renewed_after_four_fifths(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = Printed(monkeypatch, lasts_seconds=100.0)
    command = TokenCommand(("print-token",))
    command.start()
    printed.now += 79.0
    assert command.start() == "token-1"
    printed.now += 1.0
    assert command.start() == "token-2"


def test_a_command_that_fails_keeps_the_old_token_and_is_not_run_again_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    printed = Printed(monkeypatch, lasts_seconds=None)
    command = TokenCommand(("print-token",))
    command.start()
    printed.fails = True
    printed.now += PAUSE_SECONDS
    for _ in range(5):
        command.renewal("token-1").result(10)
    assert command.token == "token-1"
    assert printed.runs == 2
    assert caplog.messages == ["The token could not be renewed: failed"]
    printed.fails = False
    printed.now += PAUSE_SECONDS
    command.renewal("token-1").result(10)
    assert command.token == "token-3"


def test_calls_that_were_refused_at_the_same_time_share_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = Printed(monkeypatch, lasts_seconds=None)
    credentials = Credentials(TestConfig(KFP_TOKEN_COMMAND=("a-command-of-this-test",)))
    sent = credentials.headers()
    printed.now += PAUSE_SECONDS

    async def refused() -> list[bool]:
        return await asyncio.gather(*(credentials.renewed_since(sent) for _ in range(50)))

    assert asyncio.run(refused()) == [True] * 50
    assert printed.runs == 2
    assert credentials.headers()["Authorization"] == "Bearer token-2"


def test_a_call_that_is_cancelled_ends_the_wait_of_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenarios share the command: one that stops must not cancel operations of the others."""
    printed = Printed(monkeypatch, lasts_seconds=None)
    goes_on = threading.Event()
    credentials = Credentials(TestConfig(KFP_TOKEN_COMMAND=("print-another-token",)))

    def slowly(command: tuple[str, ...], where: str) -> PrintedSecret:
        assert goes_on.wait(10)
        return printed.run(command, where)

    monkeypatch.setattr(module, "run_secret_command", slowly)
    printed.now += PAUSE_SECONDS

    async def two_calls() -> bool:
        refused = credentials.headers()
        cancelled, other = (asyncio.create_task(credentials.renewed_since(refused)) for _ in range(2))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        goes_on.set()
        return await other

    assert asyncio.run(two_calls())


def test_calls_refused_with_the_token_of_a_file_that_has_changed_meanwhile_are_repeated_too(
    tmp_path: Path,
) -> None:
    file = tmp_path / "token"
    file.write_text("old-token")
    credentials = Credentials(TestConfig(KFP_TOKEN_FILE=file))
    sent = credentials.headers()
    file.write_text("the-new-token")

    async def refused() -> list[bool]:
        return [await credentials.renewed_since(sent) for _ in range(2)]

    assert asyncio.run(refused()) == [True, True]
    assert not asyncio.run(credentials.renewed_since(credentials.headers()))


def test_all_clients_of_a_process_share_a_command() -> None:
    assert token_command(("a", "b")) is token_command(("a", "b"))
    assert token_command(("a", "b")) is not token_command(("a", "c"))


def test_a_command_that_fails_at_the_start_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"token command \(false\): false ended with exit code 1"):
        Credentials(TestConfig(KFP_TOKEN_COMMAND=("false",)))


def test_a_refused_token_is_renewed_by_the_command_and_the_call_repeated(
    play: Play, behave: Behave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real command on a real socket: it prints another token each time."""
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    count = tmp_path / "count"
    script = f"echo x >> {count}; echo token-$(wc -l < {count} | tr -d ' ')"

    async def scene(it: Any) -> None:
        await it.client.create_run(RunSpec(name="r"))
        tokens = [request.headers["Authorization"] for request in it.server.requests]
        assert tokens == ["Bearer token-1", "Bearer token-2"]
        assert [attempt.status for attempt in it.attempts] == [401, 200]
        assert "token-2" not in repr(it.client)

    play(
        scene,
        behave.answer({"message": "expired"}, 401),
        behave.answer(RUN),
        KFP_TOKEN_COMMAND=("sh", "-c", script),
    )


def test_a_command_that_prints_the_same_token_again_is_not_tried_again(
    play: Play, behave: Behave, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)

    async def scene(it: Any) -> None:
        with pytest.raises(ApiStatusError):
            await it.client.get_run("run-1")
        assert len(it.server.requests) == 1

    play(scene, behave.answer(status=401), KFP_TOKEN_COMMAND=("printf", "the-same-token"))


def test_the_variable_is_split_as_by_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KFP_TOKEN_COMMAND", "kubectl create token 'the runner' -o json")
    command = TestConfig.from_environment().KFP_TOKEN_COMMAND
    assert command == ("kubectl", "create", "token", "the runner", "-o", "json")
