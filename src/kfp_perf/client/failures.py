"""Failures of calls: from an exception of the transport, or an answer, to an `ApiError` with a hint."""

from __future__ import annotations

import errno
import html
import os
import re
import socket
import ssl
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf.client.connection import AnswerCut, AnswerTooLarge, NotHttp
from kfp_perf.client.messages import UNDECODABLE, ProtoJsonDecoder
from kfp_perf.client.pool import NotConnected
from kfp_perf.client.proxy import ProxyRefused
from kfp_perf.errors import ApiAnswerError, ApiError, ApiInterrupted, ApiStatusError, ApiUnreachable
from kfp_perf.result.records import LOCAL_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.client.proxy import Proxy

LONGEST_MESSAGE = 300
#: How much is kept of the beginning of a longer chain of causes; the rest is its end, which has the cause.
_BEGINNING = 80
#: How much of an unexpected body is quoted: Envoy's reasons have up to 200 characters.
_QUOTED = 240

#: What `Transport.exchange` raises; an OSError is that of a lost connection.
OF_TRANSPORT = (NotConnected, TimeoutError, AnswerTooLarge, AnswerCut, NotHttp, OSError)

_OUT_OF_DESCRIPTORS = (
    "This machine ran out of file descriptors: raise `ulimit -n`, or lower KFP_PERF_MAX_CONNECTIONS."
)
_DASHBOARD = (
    "This is a page of the dashboard: API_HOST needs the path under which the API is served, "
    "such as https://host/pipeline."
)
_LOGIN = "A login page or proxy is in front of the API: give KFP_TOKEN, KFP_TOKEN_FILE or KFP_COOKIE."


#: What to do about a status, whatever the body of the answer.
_HINTS = {
    407: "The proxy needs credentials: HTTP_PROXY=http://user:password@host:port.",
    413: "A proxy refuses requests of this size: raise its limit (nginx: client_max_body_size).",
    421: "The proxy does not serve this host: is the name in API_HOST right?",
    429: "The server, or a proxy in front of it, limits the rate.",
    431: "The request's headers are too large for the server: is KFP_COOKIE or KFP_TOKEN longer than it should be?",
    502: "A proxy in front of the server got no valid response from it: is the ml-pipeline service up?",
    503: "A proxy in front of the server cannot reach it, or the server is not ready.",
    504: "A proxy timed out: its time limit is shorter than KFP_PERF_REQUEST_TIMEOUT_SECONDS.",
}
#: Details of KFP's internal errors, which do not name the cause; `message` does
#: (backend/src/common/util/error.go, NewInternalServerError and NewUnavailableServerError).
_CONSTANT_DETAILS = frozenset({"internal server error", "service unavailable"})
#: What to do about a certificate, by OpenSSL's X509_V_ERR codes.
_CERTIFICATE_HINTS = {
    9: "It is not valid yet: is the clock of this machine right?",
    10: "Have it renewed on the server, or check the clock of this machine.",
    62: "It is for another host: write a name that it holds in API_HOST.",
    64: "It is not for this address: write a name that it holds in API_HOST.",
}
#: OpenSSL's reasons where a server answers a TLS handshake in plain text.
_PLAIN_HTTP = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})
#: How gzip and zstd begin.
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
_LAST_GRPC_CODE = 16


class _Detail(msgspec.Struct):
    message: str = ""


class _ErrorBody(msgspec.Struct):
    """KFP's error documents: grpc-gateway's (`error` is of servers up to 2.5), and that of the upload routes.

    grpc-gateway writes `code` (a gRPC code), `message`, and `details` where there are any; the upload routes write
    `error_message` and `error_details`.
    """

    message: str = ""
    error: str = ""
    code: int | None = None
    details: list[_Detail] = []
    error_message: str = ""
    error_details: str | None = None

    @property
    def from_kfp(self) -> bool:
        """Whether the fields are those of KFP. In error documents of proxies `code` is an HTTP status."""
        of_gateway = self.code is not None and 0 < self.code <= _LAST_GRPC_CODE and bool(self.message)
        return of_gateway or (bool(self.error_message) and self.error_details is not None)


_error_decoder = ProtoJsonDecoder(_ErrorBody)


def from_exception(operation: str, error: Exception, *, sent: bool) -> ApiError:
    """Turn an exception of `OF_TRANSPORT` into an error; `sent` is whether any byte of the request was sent."""
    if sent:
        return _interrupted(operation, error)
    kind, message, hint = _unreachable(error)
    return ApiUnreachable(operation, message, kind=kind, hint=hint)


def _unreachable(error: Exception) -> tuple[str, str, str]:
    """Return kind, message and hint for a request of which nothing was sent."""
    if isinstance(error, NotConnected):
        return _not_connected(error, error.__cause__)
    if isinstance(error, TimeoutError):
        return "no_connection", "no connection became free within the time limit", (
            "All connections were busy: see KFP_PERF_MAX_CONNECTIONS and KFP_PERF_REQUEST_TIMEOUT_SECONDS."
        )  # fmt: skip
    return "reset", "the connection was closed before anything was sent", ""


def _not_connected(error: NotConnected, cause: BaseException | None) -> tuple[str, str, str]:
    if error.proxy is not None and not isinstance(cause, ProxyRefused):
        return _proxy_not_reached(error.proxy, cause)
    where = f"{error.host}:{error.port}"
    match cause:
        case ProxyRefused() if error.proxy is not None:
            return _refused_by_proxy(error.proxy, where, cause)
        case ssl.SSLCertVerificationError():
            hint = "Give the authority that signed it in KFP_CA_CERT; local=true switches verification off."
            hint = _CERTIFICATE_HINTS.get(cause.verify_code, hint)
            return "tls", f"the server's certificate is not trusted: {cause.verify_message}", hint
        case ssl.SSLError():
            if cause.reason in _PLAIN_HTTP:
                hint = f"This port does not speak TLS: give http://{where}, or the port of https."
                return "tls", f"no TLS connection: {_tls_reason(cause)}", hint
            return "tls", f"no TLS connection: {_tls_reason(cause)}", (
                "Does this port speak https? A URL in API_HOST says which scheme is meant."
            )  # fmt: skip
        case socket.gaierror() | UnicodeError():
            return "dns", f"the name {error.host} does not resolve", "Is API_HOST right?"
        case TimeoutError():
            return "connect_timeout", f"no connection to {where} within the time limit", (
                "Is the address right, and is the port open in firewalls? See KFP_PERF_CONNECT_TIMEOUT_SECONDS."
            )  # fmt: skip
        case OSError(errno=errno.ECONNREFUSED):
            return "refused", f"{where} refused the connection", ""
        case OSError(errno=errno.EMFILE | errno.ENFILE):
            return "descriptors", "no socket could be opened", _OUT_OF_DESCRIPTORS
        case OSError(errno=errno.EADDRNOTAVAIL):
            hint = "This machine ran out of local ports to the target: lower KFP_PERF_MAX_CONNECTIONS."
            return "ports", "no local port was free", hint
    number = getattr(cause, "errno", None)
    reason = os.strerror(number) if number else str(cause) or type(cause).__name__
    return "connect", f"no connection to {where}: {reason}", ""


def _refused_by_proxy(proxy: Proxy, where: str, cause: ProxyRefused) -> tuple[str, str, str]:
    message = f"the proxy {proxy.address} opened no tunnel to {where}: {shorten(cause.reason)}"
    if cause.status == 407:
        return (
            "proxy",
            message,
            f"Give its credentials: {proxy.variable}=http://user:password@{proxy.address}",
        )
    hint = f"Is {proxy.variable} right? Add {where.rpartition(':')[0]} to NO_PROXY for a direct connection."
    return "proxy", message, hint


def _proxy_not_reached(proxy: Proxy, cause: BaseException | None) -> tuple[str, str, str]:
    kind, message, hint = _not_connected(NotConnected(proxy.host, proxy.port), cause)
    if kind in LOCAL_KINDS:
        return kind, message, hint
    return kind, f"the proxy is not reached: {message}", (
        f"Is {proxy.variable} right? Add the host to NO_PROXY for a direct connection."
    )  # fmt: skip


def _tls_reason(error: ssl.SSLError) -> str:
    """Return OpenSSL's reason in lower case."""
    return (error.reason or type(error).__name__).replace("_", " ").lower()


def _interrupted(operation: str, error: Exception) -> ApiError:
    """Turn a failure that came after the request was sent into an error."""
    if isinstance(error, TimeoutError):
        hint = "See KFP_PERF_REQUEST_TIMEOUT_SECONDS."
        return ApiInterrupted(operation, "no whole answer within the time limit", kind="timeout", hint=hint)
    if isinstance(error, AnswerTooLarge):
        return ApiAnswerError(operation, "the answer is larger than any of KFP's", kind="answer")
    if isinstance(error, AnswerCut):
        return ApiInterrupted(operation, "the answer was cut off", kind="cut")
    if isinstance(error, NotHttp):
        message, hint = _not_http(error)
        return ApiAnswerError(operation, message, kind="answer", hint=hint)
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        # In TLS 1.3 the client may send its request before the server has checked its certificate.
        hint = "Does the server want a client certificate? See KFP_CLIENT_CERT."
        message = f"the server ended the TLS connection: {_tls_reason(error)}"
        return ApiInterrupted(operation, message, kind="tls", hint=hint)
    return ApiInterrupted(operation, "the connection was lost before the answer came", kind="reset")


def _not_http(error: NotHttp) -> tuple[str, str]:
    """Return message and hint for what the parser refused."""
    opening = error.opening
    if opening.startswith(b"HTTP/1.1 101"):
        return "the server switched to another protocol", "Does a proxy take API_HOST for a WebSocket?"
    if opening.startswith(b"HTTP/"):
        hint = "A proxy or server on the way writes what HTTP/1.1 does not allow."
        return f"the answer's HTTP is malformed: {shorten(error.reason)}", hint
    if opening[:2] == b"\x15\x03":  # an alert of TLS
        return "the answer is not HTTP, but TLS", "Give API_HOST as a URL that begins with https://."
    # A frame of settings, the first that a server sends (RFC 9113, section 3.4).
    if opening[3:4] == b"\x04" and opening[5:9] == bytes(4):
        return "the answer is not HTTP/1.1, but HTTP/2", (
            "This is a port for gRPC: the KFP API server's REST port is 8888."
        )  # fmt: skip
    return "the answer is not HTTP", "Is this the port of the KFP API server? Its REST port is 8888."


def from_status(
    operation: str,
    status: int,
    location: str,
    body: bytes,
    *,
    credentials_given: bool,
    redact: Callable[[str], str],
) -> ApiStatusError:
    """Turn an answer with a status other than 2xx into an error with KFP's short message and a hint.

    `location` is the header field of that name; `redact` removes secrets from what is quoted of the answer.
    """
    if 300 <= status < 400:
        target = redact(location.split("?")[0])
        message = f"redirected to {shorten(target)}" if target else "redirected"
        hint = f"Redirects are not followed. {_LOGIN}"
        return ApiStatusError(operation, message, status=status, hint=hint, from_kfp=False)
    # Redacted before it is cut: half of a secret would not be recognized.
    document = _error_document(body)
    message = redact(_kfp_message(document) or describe_body(body)) or "no explanation"
    hint = _status_hint(status, message, body, credentials_given=credentials_given)
    return ApiStatusError(
        operation, _shorten_chain(message), status=status, hint=hint, from_kfp=document.from_kfp
    )


def not_kfp(
    operation: str,
    status: int,
    body: bytes,
    *,
    redact: Callable[[str], str],
    cause: Exception | None = None,
    encoding: str = "",
) -> ApiAnswerError:
    """Turn an answer with a 2xx status that cannot be decoded into an error that describes the body.

    `cause` is what the decoder raised, which may name a field; `encoding` is the answer's Content-Encoding.
    """
    if encoding.lower() not in {"", "identity"}:
        message = f"the answer is compressed ({shorten(redact(encoding), 40)}), though none was asked for"
        hint = "A proxy on the way ignores Accept-Encoding: identity; switch its compression off for the API."
        return ApiAnswerError(operation, message, status=status, kind="answer", hint=hint)
    what = redact(describe_body(body)) or "an empty answer"
    field = f" ({_refusal(cause)})" if isinstance(cause, msgspec.ValidationError) else ""
    hint = "Does API_HOST, with its port and path, point to the KFP API server?"
    if _is_html(body):
        hint = _page_hint(body)
    return ApiAnswerError(
        operation, f"expected KFP's JSON, got {what}{field}", status=status, kind="answer", hint=hint
    )


def _refusal(cause: msgspec.ValidationError) -> str:
    """Return what msgspec did not accept, and the path of it."""
    return shorten(str(cause).replace("`", "").replace(" - at ", " at "))


def _page_hint(body: bytes) -> str:
    return _DASHBOARD if b"kubeflow" in body[:4096].lower() else _LOGIN


def _error_document(body: bytes) -> _ErrorBody:
    """Decode an error's body; one of another shape gives a document without content."""
    try:
        return _error_decoder.decode(body)
    except UNDECODABLE:
        return _ErrorBody()


def _kfp_message(document: _ErrorBody) -> str:
    """Return KFP's shortest message that has the cause: that of the first detail has no chain of wrapping errors.

    For internal errors it is a constant, so the chain is used there, without the stack trace that may follow it.
    """
    short = document.details[0].message if document.details else ""
    if short.lower() in _CONSTANT_DETAILS and document.message:
        return document.message.partition("\ngithub.com/")[0]
    return short or document.error_message or document.message or document.error


def _status_hint(status: int, message: str, body: bytes, *, credentials_given: bool) -> str:
    if status == 400 and "HTTPS" in message:
        return "This port speaks https: give API_HOST as a URL that begins with https://."
    if status == 401:
        if credentials_given:
            return "The credentials were not accepted: are they expired, or meant for another audience?"
        return "Give KFP_TOKEN, KFP_TOKEN_FILE or KFP_COOKIE; a multi-user server may want KFP_USER."
    if status == 403:
        return "This user lacks the right: check KFP_USER, NAMESPACE, and the roles bound in it."
    if _is_html(body) and _page_hint(body) == _DASHBOARD:
        return _DASHBOARD
    if status in {404, 501} and (message in {"Not Found", "Method Not Allowed"} or not _is_json(body)):
        return (
            "No KFP v2beta1 API is served there: check host, port and path (such as https://host/pipeline)."
        )
    return _HINTS.get(status, "")


def _shorten_chain(text: str) -> str:
    """Return one line of at most `LONGEST_MESSAGE` characters: of a long one the beginning and the end."""
    line = shorten(text, len(text))
    if len(line) <= LONGEST_MESSAGE:
        return line
    return f"{line[:_BEGINNING]}…{line[_BEGINNING + 1 - LONGEST_MESSAGE :]}"


def describe_body(body: bytes) -> str:
    """Describe an unexpected body in a few words; empty for an empty one."""
    text = body[:4096].decode("utf-8", "replace").strip()
    if not text:
        return ""
    if body.startswith(_COMPRESSED):
        return "compressed bytes"
    if _is_html(body):
        found = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        title = shorten(html.unescape(found[1]), 80) if found else ""
        return f"an HTML page, “{title}”" if title else "an HTML page"
    kind = "JSON of another shape" if _is_json(body) else "text"
    return f"{kind}, {shorten(text, _QUOTED)!r}"


def shorten(text: str, limit: int = LONGEST_MESSAGE) -> str:
    """Return one line of at most `limit` characters, without control characters."""
    line = "".join(filter(str.isprintable, " ".join(text.split())))
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _is_html(body: bytes) -> bool:
    return body[:512].lstrip().lower().startswith((b"<!doctype html", b"<html", b"<head", b"<body"))


def _is_json(body: bytes) -> bool:
    try:
        decoded: Any = msgspec.json.decode(body)
    except UNDECODABLE:
        return False
    return isinstance(decoded, dict)
