"""Multi-user mode: who is asking, and whether that user may.

The real server asks Kubernetes (a TokenReview for who, a SubjectAccessReview for whether); here a table of
grants answers. Texts and order follow backend/src/apiserver/auth and resource_manager.go of kubeflow/pipelines.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kfp_emulator.cluster.throttle import Throttle
from kfp_emulator.protocol.errors import ApiFault, invalid_input, permission_denied, unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kfp_emulator.protocol.call import Call

_MISSING = (
    "Unauthenticated: Request header error: there is no user identity header.: "
    "Request header error: there is no user identity header."
)
_REVIEW_FAILED = (
    "Authentication failure: Unauthenticated: Review.Status.Authenticated is false. "
    "Error invalid bearer token: Failed to authenticate token review"
)
USER_HEADER = "kubeflow-userid"
"""The header that Kubeflow's manifests set, without a prefix. The bare API server's own default is
`x-goog-authenticated-user-email` with the prefix `accounts.google.com:`."""


@dataclass(slots=True)
class Access:
    """The access rules of one server.

    Args:
        multi_user: off, every check passes.
        user_header, user_prefix: where the user's name stands, and what stands before it.
        grants: user -> namespaces (`*` is all); None lets every named user in everywhere.
        tokens: bearer token -> user.
        system_namespace: where writing shared pipelines is authorized.
        now: the clock, for the throttle of access reviews.

    """

    multi_user: bool = False
    user_header: str = USER_HEADER
    user_prefix: str = ""
    grants: Mapping[str, frozenset[str]] | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)
    system_namespace: str = "kubeflow"
    now: Callable[[], int] = lambda: 0
    reviews: Throttle = field(default_factory=lambda: Throttle(0.0, 1))

    def namespace(self, asked: str) -> str:
        """Return the namespace that applies: none in single-user mode."""
        return asked if self.multi_user else ""

    def user(self, call: Call) -> str:
        """Return who is asking.

        Raises:
            ApiFault: 401, nobody says so in a way that counts.

        """
        problems = []
        values = call.header(self.user_header.lower().encode("latin-1"))
        if len(values) == 1:
            if values[0].startswith(self.user_prefix):
                name = values[0][len(self.user_prefix) :]
                if name:
                    return name
                problems.append(_MISSING)
            else:
                problems.append(
                    f"BadRequestError: Header '{self.user_header}' is incorrectly formatted. "
                    f"Expected prefix '{self.user_prefix}'"
                )
        else:
            problems.append(_MISSING)
        bearer = [value for value in call.header(b"authorization") if value.startswith("Bearer ")]
        if bearer:
            user = self.tokens.get(bearer[0].removeprefix("Bearer "))
            if user is not None:
                return user
            problems.append(_REVIEW_FAILED)
        raise unauthenticated(
            "Failed to check authorization. User identity is empty in the request header",
            problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]",
        )

    async def authorize(
        self, call: Call, verb: str, resource: str, namespace: str, name: str = "", *, context: str = ""
    ) -> None:
        """Check that a request is allowed; `context` is put before the text of a missing right.

        Raises:
            ApiFault: 401 or 403; 400 where a namespace is needed and there is none.

        """
        if not self.multi_user:
            return
        if not namespace:
            raise _without_namespace(resource)
        try:
            await self._review(call, verb, resource, namespace, name)
        except ApiFault as fault:
            raise (fault.wrapped(context) if context else fault) from None

    async def _review(self, call: Call, verb: str, resource: str, namespace: str, name: str) -> None:
        user = self.user(call)
        wait = self.reviews.take(self.now())
        if wait:
            await asyncio.sleep(wait / 1_000_000)
        if self.grants is not None:
            granted = self.grants.get(user, frozenset())
            if namespace not in granted and "*" not in granted:
                raise self._denied(user, verb, resource, namespace, name)

    async def authorize_pipeline(
        self, call: Call, verb: str, namespace: str, name: str = "", *, context: str = ""
    ) -> None:
        """Do the same for pipelines, of which those without a namespace are shared: all may read them."""
        if not self.multi_user:
            return
        if namespace:
            await self.authorize(call, verb, "pipelines", namespace, name, context=context)
        elif verb not in {"get", "list"}:
            await self.authorize(call, verb, "pipelines", self.system_namespace, name, context=context)

    @staticmethod
    def _denied(user: str, verb: str, resource: str, namespace: str, name: str) -> ApiFault:
        attributes = (
            f"ResourceAttributes{{Namespace:{namespace},Verb:{verb},Group:pipelines.kubeflow.org,Version:v1beta1,"
            f"Resource:{resource},Subresource:,Name:{name},}}"
        )
        return permission_denied(
            f"User '{user}' is not authorized with reason:  (request: &{attributes})", "Unauthorized access"
        )


def _without_namespace(resource: str) -> ApiFault:
    texts = {
        "runs": "A run cannot have an empty namespace in multi-user mode",
        "experiments": "An experiment cannot have an empty namespace in multi-user mode",
        "jobs": "a recurring run cannot have an empty namespace in multi-user mode",
    }
    return invalid_input(texts.get(resource, "Namespace cannot be empty in multi-user mode"))
