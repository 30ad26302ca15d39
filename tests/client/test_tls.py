from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest
from certificates import Certificates, make_certificates, server_context

from kfp_perf.client.messages import RunSpec
from kfp_perf.errors import ApiError, ApiUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    Play = Callable[..., Any]
    Behave = Any

RUN = {"run_id": "run-1"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


async def _get(it: Any) -> None:
    assert (await it.client.get_run("run-1")).run_id == "run-1"


def test_an_authority_of_our_own_is_trusted(play: Play, behave: Behave, certificates: Certificates) -> None:
    context = server_context(certificates.server)
    play(_get, behave.answer(RUN), tls=context, KFP_CA_CERT=certificates.authority)


def test_an_unknown_authority_is_not_trusted(play: Play, behave: Behave, certificates: Certificates) -> None:
    async def scene(it: Any) -> None:
        with pytest.raises(ApiUnreachable, match=r"not trusted: .*local issuer.*\n.*KFP_CA_CERT") as caught:
            await it.client.get_run("run-1")
        assert caught.value.kind == "tls"
        assert [attempt.error for attempt in it.attempts] == ["tls"]

    play(scene, behave.answer(RUN), tls=server_context(certificates.server))


def test_an_expired_certificate_is_named(play: Play, behave: Behave, certificates: Certificates) -> None:
    async def scene(it: Any) -> None:
        with pytest.raises(ApiUnreachable, match=r"expired.*\n.*renewed") as caught:
            await it.client.get_run("run-1")
        assert "KFP_CA_CERT" not in caught.value.hint

    context = server_context(certificates.expired)
    play(scene, behave.answer(RUN), tls=context, KFP_CA_CERT=certificates.authority)


def test_a_certificate_of_another_host_is_named(
    play: Play, behave: Behave, certificates: Certificates
) -> None:
    async def scene(it: Any) -> None:
        with pytest.raises(ApiUnreachable, match=r"not valid for '127\.0\.0\.1'.*\n.*API_HOST") as caught:
            await it.client.get_run("run-1")
        assert "KFP_CA_CERT" not in caught.value.hint

    context = server_context(certificates.other)
    play(scene, behave.answer(RUN), tls=context, KFP_CA_CERT=certificates.authority)


def test_a_local_target_is_not_verified(play: Play, behave: Behave, certificates: Certificates) -> None:
    play(_get, behave.answer(RUN), tls=server_context(certificates.expired), LOCAL=True)


def test_a_client_certificate_is_shown(play: Play, behave: Behave, certificates: Certificates) -> None:
    play(
        _get,
        behave.answer(RUN),
        tls=server_context(certificates.server, certificates.authority),
        KFP_CA_CERT=certificates.authority,
        KFP_CLIENT_CERT=certificates.client,
        KFP_CLIENT_KEY=certificates.client_key,
    )


def test_a_client_certificate_that_is_missing_is_asked_for(play: Play, certificates: Certificates) -> None:
    """In TLS 1.3 the server says so only when the client has sent its request."""

    def refuse() -> None:
        # asyncio's server would close without saying why.
        context = server_context(certificates.server, certificates.authority)
        with context.wrap_socket(
            listener.accept()[0], server_side=True, do_handshake_on_connect=False
        ) as accepted:
            with contextlib.suppress(ssl.SSLError):
                accepted.do_handshake()
            # To close before all is read would be a reset, which may overtake what was said.
            while os.read(accepted.fileno(), 4096):
                pass

    async def scene(it: Any) -> None:
        with pytest.raises(ApiError, match=r"certificate required.*\n.*KFP_CLIENT_CERT") as caught:
            await it.client.get_run("run-1")
        assert caught.value.kind == "tls"
        assert len(it.samples) == 1  # trying again would not help

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=refuse)
        server.start()
        host = f"https://127.0.0.1:{listener.getsockname()[1]}"
        play(scene, KFP_API_HOST=host, KFP_CA_CERT=certificates.authority)
        server.join()


def test_large_requests_and_answers(play: Play, behave: Behave, certificates: Certificates) -> None:
    async def scene(it: Any) -> None:
        run = await it.client.create_run(RunSpec(name="r", parameters={"large": "x" * 5_000_000}))
        assert len(run.display_name) == 5_000_000
        assert len(it.server.requests[0].body) > 5_000_000
        await it.client.get_run("run-1")
        assert it.server.connections == 1

    play(
        scene,
        behave.answer({**RUN, "display_name": "n" * 5_000_000}),
        tls=server_context(certificates.server),
        KFP_CA_CERT=certificates.authority,
    )


@pytest.mark.parametrize("fault", ["close", "reset"])
def test_a_connection_that_is_lost(
    play: Play, behave: Behave, certificates: Certificates, fault: str
) -> None:
    async def scene(it: Any) -> None:
        await it.client.get_run("run-1")
        await it.client.get_run("run-1")
        assert [attempt.error for attempt in it.attempts] == ["", "reset", ""]

    play(
        scene,
        behave.answer(RUN),
        getattr(behave, fault),
        behave.answer(RUN),
        tls=server_context(certificates.server),
        KFP_CA_CERT=certificates.authority,
    )


def test_https_to_a_port_that_speaks_http(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        it.server.on_connect = lambda writer: writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with pytest.raises(ApiUnreachable, match=r"no TLS connection.*\n.*https") as caught:
            await it.client.get_run("run-1")
        assert caught.value.kind == "tls"

    play(scene, behave.close, scheme="https")
