"""Requests through a proxy: one of our own, and tinyproxy where it is installed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from certificates import make_certificates, server_context
from http_proxy import HttpProxy

from kfp_perf.client import RestClient, check_target
from kfp_perf.client.proxy import is_excepted, proxy_for
from kfp_perf.config import TestConfig
from kfp_perf.errors import ApiStatusError, ApiUnreachable, InputError, TargetError
from kfp_perf.pacing import RealClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Play = Callable[..., Any]
    Behave = Any

RUN = {"run_id": "run-1"}


@contextlib.asynccontextmanager
async def _through(
    it: Any, host: str, *, proxy: dict[str, str] | None = None, login: str = "", **settings: Any
) -> Any:
    """A client of `host` through a proxy to the scene's server."""
    between = HttpProxy(it.server.port, **(proxy or {}))
    url = f"http://{login}127.0.0.1:{between.port}"
    config = TestConfig(KFP_API_HOST=host, HTTP_PROXY=url, HTTPS_PROXY=url, retries=0, **settings)
    client = RestClient(config, RealClock())
    try:
        yield client, between
    finally:
        await client.aclose()
        # Its connections end when the scene's server, which needs this loop, has ended them.
        await asyncio.to_thread(between.stop)
        while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110  the scene's server has no event for it
            await asyncio.sleep(0)


def test_plain_http_goes_through_the_proxy_in_absolute_form(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        async with _through(it, "http://kfp.test:8888/pipeline") as (client, proxy):
            assert (await client.get_run("run-1")).run_id == "run-1"
            assert (await client.get_run("run-1")).run_id == "run-1"
        assert proxy.seen == ["GET http://kfp.test:8888/pipeline/apis/v2beta1/runs/run-1 HTTP/1.1"] * 2
        assert it.server.requests[0].target == "/pipeline/apis/v2beta1/runs/run-1"
        assert it.server.requests[0].headers["Host"] == "kfp.test:8888"

    play(scene, behave.answer(RUN))


def test_tls_goes_through_a_tunnel(play: Play, behave: Behave, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)

    async def scene(it: Any) -> None:
        settings: dict[str, Any] = {"KFP_TOKEN": "t0ps3cret", "LOCAL": True}
        async with _through(it, "https://kfp.test:8443", **settings) as (client, proxy):
            assert (await client.get_run("run-1")).run_id == "run-1"
            assert (await client.get_run("run-1")).run_id == "run-1"
        assert proxy.seen == ["CONNECT kfp.test:8443 HTTP/1.1"]
        assert b"run-1" not in proxy.passed
        assert b"t0ps3cret" not in proxy.passed
        assert it.server.requests[0].headers["Authorization"] == "Bearer t0ps3cret"

    play(scene, behave.answer(RUN), tls=server_context(certificates.server))


def test_the_certificate_is_that_of_the_server_not_of_the_proxy(
    play: Play, behave: Behave, tmp_path: Path
) -> None:
    certificates = make_certificates(tmp_path)

    async def scene(it: Any) -> None:
        settings: dict[str, Any] = {"KFP_CA_CERT": certificates.authority}
        async with _through(it, "https://kfp.test:8443", **settings) as (client, _):
            with pytest.raises(ApiUnreachable, match="certificate") as caught:
                await client.get_run("run-1")
        assert caught.value.kind == "tls"
        async with _through(it, "https://192.0.2.1:8443", **settings) as (client, _):
            assert (await client.get_run("run-1")).run_id == "run-1"

    play(scene, behave.answer(RUN), tls=server_context(certificates.other))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_proxys_credentials_are_shown_to_it_alone(
    play: Play, behave: Behave, tmp_path: Path, scheme: str
) -> None:
    certificates = make_certificates(tmp_path)
    wanted = "Basic " + base64.b64encode(b"me:p@ss w\xc3\xb6rd").decode()

    async def scene(it: Any) -> None:
        login = "me:p%40ss%20w%C3%B6rd@"
        target = f"{scheme}://kfp.test:8888"
        proxy = {"authorization": wanted}
        async with _through(it, target, proxy=proxy, login=login, LOCAL=True) as (client, between):
            assert (await client.get_run("run-1")).run_id == "run-1"
            assert between.shown == [wanted]
            assert "Proxy-Authorization" not in it.server.requests[0].headers
            assert "p%40ss" not in repr(client.proxy)
        async with _through(it, target, proxy=proxy, LOCAL=True) as (client, _):
            with pytest.raises((ApiStatusError, ApiUnreachable)) as caught:
                await client.get_run("run-1")
            assert "407" in str(caught.value)
            assert f"{scheme.upper()}_PROXY=http://user:password@" in caught.value.hint

    tls = server_context(certificates.server) if scheme == "https" else None
    play(scene, behave.answer(RUN), tls=tls)


def test_a_proxy_that_opens_no_tunnel_is_named(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        async with _through(it, "https://kfp.test", proxy={"refusal": "403 Filtered"}) as (client, between):
            with pytest.raises(
                ApiUnreachable, match=r"opened no tunnel to kfp\.test:443: HTTP 403 Filtered"
            ) as caught:
                await client.get_run("run-1")
            assert f"127.0.0.1:{between.port}" in caught.value.message
            assert "NO_PROXY" in caught.value.hint
            assert caught.value.kind == "proxy"

    play(scene, behave.answer(RUN))


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-x\r\n\r\n"])
def test_what_is_no_proxy_is_named(play: Play, behave: Behave, said: bytes) -> None:
    async def scene(it: Any) -> None:
        config = TestConfig(
            KFP_API_HOST="https://kfp.test", HTTPS_PROXY=f"127.0.0.1:{it.server.port}", retries=0
        )
        client = RestClient(config, RealClock())
        with pytest.raises(ApiUnreachable, match="opened no tunnel"):
            await client.get_run("run-1")
        await client.aclose()

    play(scene, behave.raw(said))


def test_a_proxy_that_is_not_reached_is_not_taken_for_the_server(
    play: Play, behave: Behave, unused_port: int
) -> None:
    async def scene(it: Any) -> None:
        config = TestConfig(
            KFP_API_HOST="http://kfp.test", HTTP_PROXY=f"http://127.0.0.1:{unused_port}", retries=0
        )
        client = RestClient(config, RealClock())
        with pytest.raises(TargetError, match="the proxy is not reached") as caught:
            await check_target(client)
        assert "HTTP_PROXY" in caught.value.hint
        await client.aclose()

    play(scene, behave.close)


def test_that_a_proxy_is_used_is_logged(play: Play, behave: Behave, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(it: Any) -> None:
        with caplog.at_level("INFO", "kfp_perf"):
            async with _through(it, "http://kfp.test:8888") as (client, proxy):
                await check_target(client)
        assert f"through the proxy 127.0.0.1:{proxy.port} (HTTP_PROXY)" in caplog.text

    play(scene, behave.answer({"multi_user": False}))


@pytest.mark.parametrize(
    ("target", "settings", "proxy"),
    [
        ("http://kfp.test", {}, ""),
        ("http://kfp.test", {"HTTP_PROXY": "proxy:3128"}, "proxy:3128"),
        ("http://kfp.test", {"HTTP_PROXY": "http://proxy"}, "proxy:80"),
        ("http://kfp.test", {"HTTP_PROXY": "http://[::1]:3128/"}, "[::1]:3128"),
        ("http://kfp.test", {"HTTPS_PROXY": "proxy:3128"}, ""),
        ("https://kfp.test", {"HTTPS_PROXY": "proxy:3128"}, "proxy:3128"),
        ("https://kfp.test", {"HTTPS_PROXY": "proxy:3128", "NO_PROXY": "x, .test"}, ""),
        ("localhost:8888", {"HTTP_PROXY": "proxy:3128"}, ""),
        ("127.0.0.2:8888", {"HTTP_PROXY": "proxy:3128"}, ""),
        ("http://[::1]", {"HTTP_PROXY": "proxy:3128"}, ""),
        ("http://localhost", {"HTTP_PROXY": "socks5://proxy"}, ""),
    ],
)
def test_which_proxy_is_used(target: str, settings: dict[str, Any], proxy: str) -> None:
    found = proxy_for(TestConfig(KFP_API_HOST=target, **settings))
    assert (found.address if found else "") == proxy


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY"])
def test_it_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://proxy:3128")
    found = proxy_for(TestConfig.from_environment(KFP_API_HOST="http://kfp.test"))
    assert found
    assert found.address == "proxy:3128"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("socks5://me:s3cret@proxy:1080", "only http is supported"),
        ("https://proxy", "only http is supported"),
        ("http://me:s3cret@proxy:port", "must be a number"),
        ("http://me:s3cret@", "has no host"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused(value: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        proxy_for(TestConfig(KFP_API_HOST="http://kfp.test", HTTP_PROXY=value))
    assert words in str(caught.value)
    assert "HTTP_PROXY" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "no_proxy", "excepted"),
    [
        ("kfp.test", "", False),
        ("kfp.test", "*", True),
        ("kfp.test", "kfp.test", True),
        ("KFP.test.", "kfp.TEST", True),
        ("kfp.test", "test", True),
        ("kfp.test", ".test", True),
        ("kfp.test", "*.test", True),
        ("kfp.test", "est", False),
        ("kfp.test", "a,b kfp.test:8888", True),
        ("kfp.test", "kfp.test:80", False),
        ("kfp.test", "10.0.0.0/8", False),
        ("kfp.test", ".", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3:8888", True),
        ("10.1.2.3", "2.3", False),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("fd00::1", "fd00::/8", True),
        ("fd00::1", "[fd00::1]:8888", True),
        ("fd00::1", "10.0.0.0/8", False),
    ],
)
def test_exceptions(host: str, no_proxy: str, excepted: bool) -> None:
    assert is_excepted(host, 8888, no_proxy) is excepted


@pytest.fixture
def tinyproxy(tmp_path: Path) -> Iterator[int]:
    """The port of a tinyproxy (https://tinyproxy.github.io), an implementation that is not ours."""
    program = shutil.which("tinyproxy")
    if program is None:
        pytest.skip("tinyproxy is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    settings = tmp_path / "tinyproxy.conf"
    settings.write_text(
        f"Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 60\nMaxClients 20\n"
        f'LogFile "{tmp_path / "tinyproxy.log"}"\n'
    )
    process = subprocess.Popen([program, "-d", "-c", settings], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "tinyproxy did not start"
                time.sleep(0.01)
        yield port
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_tinyproxy(play: Play, behave: Behave, tmp_path: Path, tinyproxy: int, scheme: str) -> None:
    certificates = make_certificates(tmp_path)

    async def scene(it: Any) -> None:
        # Is this machine, and does not look like it.
        host = f"{scheme}://0.0.0.0:{it.server.port}"
        proxy = f"http://127.0.0.1:{tinyproxy}"
        config = TestConfig(KFP_API_HOST=host, HTTP_PROXY=proxy, HTTPS_PROXY=proxy, LOCAL=True)
        client = RestClient(config, RealClock())
        assert client.proxy
        await asyncio.gather(*(client.get_run("run-1") for _ in range(10)))
        await client.aclose()
        assert len(it.server.requests) == 10
        while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110  the scene's server has no event for it
            await asyncio.sleep(0.001)

    tls = server_context(certificates.server) if scheme == "https" else None
    play(scene, behave.answer(RUN), tls=tls)
    how = "CONNECT" if scheme == "https" else "GET"
    assert "Request (file descriptor" in (log := (tmp_path / "tinyproxy.log").read_text())
    assert f"{how} " in log
