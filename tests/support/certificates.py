"""Certificates for servers and clients of tests, made anew each time."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

x509 = pytest.importorskip("cryptography.x509", reason="certificates are made with cryptography")
hashes = pytest.importorskip("cryptography.hazmat.primitives.hashes")
serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
ec = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ec")


@dataclass
class Certificates:
    """Files of an authority, and of certificates that it signed, each with its key."""

    authority: Path
    server: Path
    client: Path
    client_key: Path
    expired: Path
    other: Path


def make_certificates(folder: Path) -> Certificates:
    """Make them: for 127.0.0.1, except `other`, which is for another host."""
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
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1" if name != "other" else "192.0.2.1"))
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
        make("other"),
    )


def server_context(certificate: Path, authority: Path | None = None) -> ssl.SSLContext:
    """A server's context: with an authority, clients must show a certificate that it signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if authority is not None:
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
