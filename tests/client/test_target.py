from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.client import check_target
from kfp_perf.errors import ExitCode, TargetError

if TYPE_CHECKING:
    from collections.abc import Callable

    Play = Callable[..., Any]
    Behave = Any


def _refusal(play: Play, behaviour: Any, **settings: Any) -> TargetError:
    async def scene(it: Any) -> TargetError:
        with pytest.raises(TargetError) as caught:
            await check_target(it.client)
        return caught.value

    error = play(scene, behaviour, retries=0, **settings)
    assert isinstance(error, TargetError)
    assert error.exit_code is ExitCode.TARGET
    assert error.hint
    return error


@pytest.mark.parametrize(
    "answer",
    [
        {"commit_sha": "abc", "tag_name": "2.17.0", "multi_user": False, "pipeline_store": "database"},
        {"multi_user": True},
        {"commit_sha": "abc"},
    ],
)
def test_a_kfp_api_server_is_known_by_its_health(play: Play, behave: Behave, answer: dict[str, Any]) -> None:
    async def scene(it: Any) -> None:
        health = await check_target(it.client)
        assert health.is_kfp
        assert health.tag_name == answer.get("tag_name", "")

    play(scene, behave.answer(answer))


def test_where_nothing_listens_on_this_machine_the_emulator_is_offered(
    play: Play, behave: Behave, unused_port: int
) -> None:
    error = _refusal(play, behave.close, KFP_API_HOST=f"http://localhost:{unused_port}")
    assert "refused" in error.message
    assert f"http://localhost:{unused_port}" in error.message
    assert "`kfp-perf run smoke.json --emulator` works without a cluster" in error.hint


def test_elsewhere_it_is_not(play: Play, behave: Behave, unused_port: int) -> None:
    error = _refusal(play, behave.close, KFP_API_HOST=f"http://127.0.0.2:{unused_port}")
    assert "--emulator" not in error.hint
    assert "API_HOST" in error.hint


@pytest.mark.parametrize("body", [{}, {"status": "ok"}, {"multiUser": False}])
def test_another_servers_health_is_not_kfps(play: Play, behave: Behave, body: Any) -> None:
    assert "not a KFP API server" in _refusal(play, behave.answer(body)).message


def test_a_login_page_is_named(play: Play, behave: Behave) -> None:
    page = b"<html><head><title>Dex</title></head></html>"
    error = _refusal(play, behave.answer(page))
    assert "“Dex”" in error.message
    assert "KFP_COOKIE" in error.hint


def test_a_redirect_to_a_login_is_named(play: Play, behave: Behave) -> None:
    error = _refusal(play, behave.answer(b"", 302, Location="/dex/auth"))
    assert "/dex/auth" in error.message
    assert "not followed" in error.hint


def test_a_path_without_kfp(play: Play, behave: Behave) -> None:
    error = _refusal(play, behave.answer(b"404 page not found\n", 404))
    assert "path" in error.hint


@pytest.mark.parametrize(
    ("multi_user", "namespaces", "said"),
    [(False, ["team-a"], True), (False, [""], False), (True, ["team-a"], False)],
)
def test_namespaces_that_a_single_user_server_ignores_are_told(
    play: Play,
    behave: Behave,
    caplog: pytest.LogCaptureFixture,
    multi_user: bool,
    namespaces: list[str],
    said: bool,
) -> None:
    async def scene(it: Any) -> None:
        await check_target(it.client, namespaces)

    with caplog.at_level("INFO", "kfp_perf"):
        play(scene, behave.answer({"multi_user": multi_user}), behave.answer({}))
    assert ("isKubeflowMode is set" in caplog.text) is said
