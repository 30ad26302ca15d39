"""Who may do what with the Kubernetes API: bearer tokens, and what is denied."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import msgspec

from kfp_emulator.kubernetes.failures import forbidden, unauthorized

ANYONE = "kubernetes-admin"
"""The user of every request where no token is demanded."""


class Denial(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is denied; each field is a pattern. `namespace` is empty for what spans all namespaces."""

    verb: str = "*"
    resource: str = "*"
    group: str = "*"
    namespace: str = "*"
    user: str = "*"


@dataclass(frozen=True, slots=True)
class Action:
    """What a request does: a verb on a resource, in a namespace or (empty) all of them."""

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""
    name: str = ""


@dataclass(slots=True)
class Permissions:
    """The tokens of users (none: everyone may come), and what is denied to them."""

    tokens: dict[str, str] = field(default_factory=dict)
    denials: tuple[Denial, ...] = ()

    def user(self, authorization: str) -> str:
        """Return the user of a request.

        Raises:
            Refusal: 401, a token is demanded, and this is none of those that are known.

        """
        if not self.tokens:
            return ANYONE
        scheme, _, token = authorization.partition(" ")
        user = self.tokens.get(token.strip()) if scheme.lower() == "bearer" else None
        if user is None:
            raise unauthorized()
        return user

    def allowed(self, user: str, action: Action) -> bool:
        """Whether a user may do this."""
        return not any(
            fnmatchcase(action.verb, denial.verb)
            and fnmatchcase(action.resource, denial.resource)
            and fnmatchcase(action.group, denial.group)
            and fnmatchcase(action.namespace, denial.namespace)
            and fnmatchcase(user, denial.user)
            for denial in self.denials
        )

    def check(self, user: str, action: Action) -> None:
        """Let a request pass.

        Raises:
            Refusal: 403, it may not.

        """
        if not self.allowed(user, action):
            raise forbidden(user, action.verb, action.resource, action.group, action.namespace, action.name)
