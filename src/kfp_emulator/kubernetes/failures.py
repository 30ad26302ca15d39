"""The errors of a Kubernetes API server: a Status object, with the texts of apimachinery (api/errors)."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """A request that the server refuses; `document` is the Status that it answers with."""

    def __init__(
        self, code: int, reason: str, message: str, details: dict[str, Any] | None = None, resume: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}
        self.resume = resume
        """A continue token with which a list that has expired can go on."""

    @property
    def document(self) -> dict[str, Any]:
        """The Status object."""
        document: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.resume} if self.resume else {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if self.details:
            document["details"] = self.details
        document["code"] = self.code
        return document


def unauthorized() -> Refusal:
    """No token, or an unknown one."""
    return Refusal(401, "Unauthorized", "Unauthorized")


def _qualified(resource: str, group: str) -> str:
    return f"{resource}.{group}" if group else resource


def forbidden(user: str, verb: str, resource: str, group: str, namespace: str, name: str = "") -> Refusal:
    """The user may not do this, as the RBAC authorizer words it."""
    where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
    about = f'{_qualified(resource, group)} "{name}"' if name else _qualified(resource, group)
    what = f'cannot {verb} resource "{resource}" in API group "{group}"{where}'
    message = f'{about} is forbidden: User "{user}" {what}'
    details = {"name": name, "group": group, "kind": resource}
    return Refusal(403, "Forbidden", message, {key: value for key, value in details.items() if value})


def not_found(resource: str, group: str, name: str) -> Refusal:
    """There is no such object."""
    details = {"name": name, "group": group, "kind": resource}
    return Refusal(
        404,
        "NotFound",
        f'{_qualified(resource, group)} "{name}" not found',
        {key: value for key, value in details.items() if value},
    )


def no_such_path() -> Refusal:
    """There is no such resource."""
    return Refusal(404, "NotFound", "the server could not find the requested resource")


def method_not_allowed() -> Refusal:
    """The resource cannot be changed here."""
    return Refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def bad_request(message: str) -> Refusal:
    """A parameter that cannot be read."""
    return Refusal(400, "BadRequest", message)


def invalid_options(field: str, message: str) -> Refusal:
    """List options that are refused."""
    return Refusal(
        422,
        "Invalid",
        f'ListOptions.meta.k8s.io "" is invalid: {field}: {message}',
        {
            "group": "meta.k8s.io",
            "kind": "ListOptions",
            "causes": [{"reason": "FieldValueForbidden", "message": message, "field": field}],
        },
    )


def watch_expired(asked: int, oldest: int) -> Refusal:
    """The history before a watch is not kept any more."""
    return Refusal(410, "Expired", f"too old resource version: {asked} ({oldest})")


def list_expired(resume: str) -> Refusal:
    """The version of a continue token, or of an exact list, is not kept any more."""
    if not resume:
        return Refusal(410, "Expired", "The resourceVersion for the provided list is too old.")
    message = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new "
        "list without the continue parameter, or use the continue token in this response to retrieve the "
        "remainder of the results. Continuing with the provided token results in an inconsistent list - "
        "objects that were created, modified, or deleted between the time the first chunk was returned and "
        "now may show up in the list."
    )
    return Refusal(410, "Expired", message, resume=resume)


def too_large_version(asked: int, current: int) -> Refusal:
    """A requested version does not exist yet."""
    return Refusal(
        504,
        "Timeout",
        f"Too large resource version: {asked}, current: {current}",
        {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
    )
