"""A self-signed certificate, as Argo's controller makes one for its metrics at each start."""

from __future__ import annotations

import ssl
import subprocess
import tempfile
from pathlib import Path

_DAYS = 365
_SECONDS = 20


class NoCertificate(Exception):
    """No certificate could be made; the text is the reason."""


def self_signed(host: str) -> ssl.SSLContext:
    """Return the context of a TLS server with a new key and a certificate for `host` that is self-signed.

    Raises:
        NoCertificate: the command openssl is missing, or failed.

    """
    with tempfile.TemporaryDirectory() as folder:
        key, certificate = Path(folder) / "key.pem", Path(folder) / "certificate.pem"
        command = [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", str(_DAYS), "-subj", f"/O=ArgoProj/CN={host}"),
            *("-keyout", str(key), "-out", str(certificate)),
        ]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)
        except FileNotFoundError:
            raise NoCertificate("the command openssl is not installed") from None
        except subprocess.TimeoutExpired:
            raise NoCertificate(f"openssl did not end within {_SECONDS} s") from None
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip().splitlines()
            raise NoCertificate(f"openssl failed: {said[-1] if said else error.returncode}") from None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    return context
