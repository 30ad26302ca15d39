"""The errors of the API server, in the two shapes in which they are sent.

The texts follow backend/src/common/util/error.go of kubeflow/pipelines: every fault has a short text for the
client, and a chain of wrapped texts for the operator. The gateway sends both; the upload routes send one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import msgspec


class Code(IntEnum):
    """gRPC status codes, as google.rpc.Code numbers them."""

    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


HTTP_STATUS: dict[int, int] = {
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.UNAUTHENTICATED: 401,
}
"""The gateway's mapping from gRPC codes to HTTP (grpc-gateway, runtime.HTTPStatusFromCode)."""


@dataclass(slots=True)
class ApiFault(Exception):
    """One refusal: its gRPC code, the short text, and the chain that stands before it in the outer message."""

    code: Code
    message: str
    chain: str

    def __post_init__(self) -> None:
        Exception.__init__(self, self.chain)

    def wrapped(self, *contexts: str) -> ApiFault:
        """Return the fault with each context put before the chain, the innermost first."""
        chain = self.chain
        for context in contexts:
            chain = f"{context}: {chain}"
        return ApiFault(self.code, self.message, chain)

    @property
    def detail_code(self) -> Code:
        """The code that stands with the short text."""
        return self.code

    @property
    def status(self) -> int:
        """The HTTP status that the gateway gives this code."""
        return HTTP_STATUS[self.code]


class wrapping:  # noqa: N801  used like a function
    """A context that puts texts before the chain of any `ApiFault` raised in it, as `ApiFault.wrapped` does."""

    __slots__ = ("_contexts",)

    def __init__(self, *contexts: str) -> None:
        self._contexts = contexts

    def __enter__(self) -> None:
        """Begin the context."""

    def __exit__(self, _kind: object, fault: BaseException | None, _trace: object) -> None:
        if isinstance(fault, ApiFault):
            raise fault.wrapped(*self._contexts) from None


class PlainError(ApiFault):
    """An error of Go that is none of KFP's own: its contexts follow it, a line each, and the client sees them."""

    def wrapped(self, *contexts: str) -> PlainError:
        """Return the error with each context in a line after it, the innermost first."""
        chain = "\n".join((self.chain, *contexts))
        return PlainError(self.code, chain, chain)

    @property
    def detail_code(self) -> Code:
        """Unknown, whatever the code of the answer."""
        return Code.UNKNOWN


def plain_error(cause: str) -> PlainError:
    """Make what util.Wrap of kubeflow/pipelines makes of any other error: 500, but for the stack traces."""
    text = f"Internal error: {cause}"
    return PlainError(Code.INTERNAL, text, text)


def invalid_input(message: str) -> ApiFault:
    """Make KFP's NewInvalidInputError: 400."""
    return ApiFault(Code.INVALID_ARGUMENT, message, f"Invalid input error: {message}")


def invalid_input_details(message: str, cause: str) -> ApiFault:
    """Make KFP's NewInvalidInputErrorWithDetails: 400, with the cause in the chain only."""
    return ApiFault(Code.INVALID_ARGUMENT, message, f"InvalidInputError: {message}: {cause}")


def internal(context: str, cause: str | ApiFault) -> ApiFault:
    """Make KFP's NewInternalServerError: 500, whose short text never has the cause."""
    text = cause.chain if isinstance(cause, ApiFault) else cause
    return ApiFault(Code.INTERNAL, "Internal Server Error", f"InternalServerError: {context}: {text}")


def not_found(kind: str, name: str) -> ApiFault:
    """Make KFP's NewResourceNotFoundError: 404."""
    message = f"{kind} {name} not found"
    return ApiFault(Code.NOT_FOUND, message, f"ResourceNotFoundError: {message}")


def already_exists(message: str) -> ApiFault:
    """Make KFP's NewAlreadyExistError: 409."""
    return ApiFault(Code.ALREADY_EXISTS, message, f"Already exist error: {message}")


def bad_request(message: str, cause: str) -> ApiFault:
    """Make KFP's NewBadRequestError, which is 409: its code is ABORTED."""
    return ApiFault(Code.ABORTED, message, f"BadRequestError: {message}: {cause}")


def failed_precondition(message: str, cause: str) -> ApiFault:
    """Make KFP's NewFailedPreconditionError: 400."""
    return ApiFault(Code.FAILED_PRECONDITION, message, f"FailedPreconditionError: {message}: {cause}")


def unauthenticated(message: str, cause: str) -> ApiFault:
    """Make KFP's NewUnauthenticatedError: 401."""
    return ApiFault(Code.UNAUTHENTICATED, message, f"Unauthenticated: {message}: {cause}")


def permission_denied(message: str, cause: str) -> ApiFault:
    """Make KFP's NewPermissionDeniedError: 403."""
    return ApiFault(Code.PERMISSION_DENIED, message, f"PermissionDenied: {message}: {cause}")


def unknown_operation(message: str) -> ApiFault:
    """Make KFP's NewUnknownApiVersionError: 400."""
    return ApiFault(Code.INVALID_ARGUMENT, message, f"UnknownApiVersionError: {message}")


def check_length(field: str, value: str, limit: int, context: str) -> None:
    """Raise the error of a field that is longer than `limit` bytes; `field` is `Message.Field`."""
    if len(value.encode()) > limit:
        raise internal(context, invalid_input(f"{field} length cannot exceed {limit}"))


def data_too_long(context: str, column: str, *, twice: bool = False) -> ApiFault:
    """Make the fault of a value that does not fit its column: 500, with MySQL's text."""
    text = f"Error 1406 (22001): Data too long for column '{column}' at row 1"
    return internal(context, f"{text}: {text}" if twice else text)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: status, body, and the headers that its kind brings (length and date are added later)."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]

    def with_headers(self, *headers: tuple[bytes, bytes]) -> Answer:
        """Return the answer with more headers."""
        return replace(self, headers=self.headers + headers)


JSON_HEADER = (b"content-type", b"application/json")
TEXT_HEADER = (b"content-type", b"text/plain; charset=utf-8")
GATEWAY_HEADERS = (JSON_HEADER, (b"grpc-metadata-content-type", b"application/grpc"))
"""The gateway passes the gRPC server's own content type on as a header, of successful calls only."""


class GatewayRefusal(Exception):
    """The gateway itself refuses a request before any KFP code runs: there are no details then."""

    def __init__(self, code: Code, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = HTTP_STATUS[code] if status is None else status


def refusal_answer(refusal: GatewayRefusal) -> Answer:
    """Shape a gateway's own refusal."""
    body = msgspec.json.encode({"code": int(refusal.code), "message": refusal.message})
    return Answer(refusal.status, body, (JSON_HEADER,))


def fault_answer(fault: ApiFault, *, with_error_field: bool = False) -> Answer:
    """Shape a fault as the gateway does; `with_error_field` is the body of servers 2.0 to 2.5."""
    document: dict[str, object] = {"error": fault.chain} if with_error_field else {}
    document["code"] = int(fault.code)
    document["message"] = fault.chain
    document["details"] = [
        {
            "@type": "type.googleapis.com/google.rpc.Status",
            "code": int(fault.detail_code),
            "message": fault.message,
        }
    ]
    answer = Answer(fault.status, msgspec.json.encode(document), (JSON_HEADER,))
    if fault.code is Code.UNAUTHENTICATED:
        return answer.with_headers((b"www-authenticate", fault.chain.encode("latin-1", "replace")))
    return answer


def upload_fault_answer(status: int, message: str, *, as_json: bool) -> Answer:
    """Shape a fault of the upload routes, whose Content-Type depends on whether the spec was reached."""
    body = msgspec.json.encode({"error_message": message, "error_details": message})
    return Answer(status, body, (JSON_HEADER if as_json else TEXT_HEADER,))


def plain_answer(status: int, text: str) -> Answer:
    """Shape what Go's http.Error writes: the text, a newline, and no sniffing."""
    return Answer(status, f"{text}\n".encode(), (TEXT_HEADER, (b"x-content-type-options", b"nosniff")))
