from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import os
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.client.messages import RunSpec
from kfp_perf.errors import ApiError, ApiUnreachable

x509 = pytest.importorskip("cryptography.x509", reason="certificates are made with cryptography")
hashes = pytest.importorskip("cryptography.hazmat.primitives.hashes")
serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
ec = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ec")

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Play = Callable[..., Any]
    Behave = Any

RUN = {"run_id": "run-1"}


@dataclass
class Certificates:
    authority: Path
    server: Path
    client: Path
    client_key: Path
    expired: Path


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    now = dt.datetime.now(dt.UTC)
    day = dt.timedelta(days=1)
    issuer_key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test authority")])

    def make(name: str, *, is_authority: bool = False, until: Any = None) -> Any:
        key = issuer_key if is_authority else ec.generate_private_key(ec.SECP256R1())
        subject = issuer if is_authority else x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * day)
            .not_valid_after(until or now + day)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if not is_authority:
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        certificate = builder.sign(issuer_key, hashes.SHA256())
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        key_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.pem").write_bytes(pem if is_authority else key_pem + pem)
        (folder / f"{name}.crt").write_bytes(pem)
        (folder / f"{name}.key").write_bytes(key_pem)
        return folder / f"{name}.pem"

    return Certificates(
        make("authority", is_authority=True),
        make("server"),
        (make("client").with_suffix(".crt")),
        folder / "client.key",
        make("expired", until=now - day),
    )


def _server_context(certificate: Path, authority: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if authority is not None:
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def _get(it: Any) -> None:
    assert (await it.client.get_run("run-1")).run_id == "run-1"


def test_an_authority_of_our_own_is_trusted(play: Play, behave: Behave, certificates: Certificates) -> None:
    context = _server_context(certificates.server)
    play(_get, behave.answer(RUN), tls=context, KFP_CA_CERT=certificates.authority)


def test_an_unknown_authority_is_not_trusted(play: Play, behave: Behave, certificates: Certificates) -> None:
    async def scene(it: Any) -> None:
        with pytest.raises(ApiUnreachable, match=r"not trusted: .*local issuer.*\n.*KFP_CA_CERT") as caught:
            await it.client.get_run("run-1")
        assert caught.value.kind == "tls"
        assert [attempt.error for attempt in it.attempts] == ["tls"]

    play(scene, behave.answer(RUN), tls=_server_context(certificates.server))


def test_an_expired_certificate_is_named(play: Play, behave: Behave, certificates: Certificates) -> None:
    async def scene(it: Any) -> None:
        with pytest.raises(ApiUnreachable, match=r"expired"):
            await it.client.get_run("run-1")

    context = _server_context(certificates.expired)
    play(scene, behave.answer(RUN), tls=context, KFP_CA_CERT=certificates.authority)


def test_a_local_target_is_not_verified(play: Play, behave: Behave, certificates: Certificates) -> None:
    play(_get, behave.answer(RUN), tls=_server_context(certificates.expired), LOCAL=True)


def test_a_client_certificate_is_shown(play: Play, behave: Behave, certificates: Certificates) -> None:
    play(
        _get,
        behave.answer(RUN),
        tls=_server_context(certificates.server, certificates.authority),
        KFP_CA_CERT=certificates.authority,
        KFP_CLIENT_CERT=certificates.client,
        KFP_CLIENT_KEY=certificates.client_key,
    )


def test_a_client_certificate_that_is_missing_is_asked_for(play: Play, certificates: Certificates) -> None:
    """In TLS 1.3 the server says so only when the client has sent its request."""

    def refuse() -> None:
        # asyncio's server would close without saying why.
        context = _server_context(certificates.server, certificates.authority)
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
        tls=_server_context(certificates.server),
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
        tls=_server_context(certificates.server),
        KFP_CA_CERT=certificates.authority,
    )


def test_https_to_a_port_that_speaks_http(play: Play, behave: Behave) -> None:
    async def scene(it: Any) -> None:
        it.server.on_connect = lambda writer: writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with pytest.raises(ApiUnreachable, match=r"no TLS connection.*\n.*https") as caught:
            await it.client.get_run("run-1")
        assert caught.value.kind == "tls"

    play(scene, behave.close, scheme="https")
