"""Lists: selected, in pages, and as they were at a resource version (apiserver's GetList over etcd)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from kfp_emulator.kubernetes.failures import bad_request, invalid_options, list_expired, too_large_version
from kfp_emulator.kubernetes.selectors import Selector, matches, parse_fields, parse_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kfp_emulator.kubernetes.journal import Journal
    from kfp_emulator.kubernetes.views import Shown, View

INCONSISTENT = -1
"""The version in a continue token that takes the newest one at each page."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects are meant."""

    namespace: str
    labels: Selector
    fields: Selector

    def meets(self, entry: Shown) -> bool:
        """Whether an object is one of them."""
        if self.namespace and not entry.key.startswith(f"{self.namespace}/"):
            return False
        return (not self.labels or matches(self.labels, entry.labels())) and (
            not self.fields or matches(self.fields, entry.fields())
        )


class ListPage(NamedTuple):
    """A page of a list: the version that it shows, its entries, how to go on, and how many are left."""

    version: int
    entries: list[Shown]
    resume: str
    left: int | None


class _ContinueToken(msgspec.Struct):
    """What a continue token holds, as apiserver/pkg/storage encodes it."""

    v: str
    rv: int
    start: str


def selection(query: Mapping[str, str], namespace: str, fields: tuple[str, ...]) -> Selection:
    """Read the selectors of a request.

    Raises:
        Refusal: 400, one of them cannot be read.

    """
    return Selection(
        namespace,
        parse_labels(query.get("labelSelector", "")),
        parse_fields(query.get("fieldSelector", ""), fields),
    )


def whole(query: Mapping[str, str], name: str) -> int:
    """Read a whole number of the query, 0 where it is not given.

    Raises:
        Refusal: 400, it is none.

    """
    text = query.get(name, "")
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise bad_request(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


def read_page(journal: Journal, view: View, selected: Selection, query: Mapping[str, str]) -> ListPage:
    """Return the page of a request.

    Raises:
        Refusal: 400, 410, 422 or 504: the options do not fit, or the version is too old, or to come.

    """
    limit, resume = whole(query, "limit"), query.get("continue", "")
    number, start = _version(journal, query), ""
    if resume:
        if query.get("resourceVersion", "0") not in {"", "0"}:
            raise bad_request("specifying resource version is not allowed when using continue")
        number, start = _resumed(journal, resume)
    fitting = filter(selected.meets, view.snapshot(journal, number, start))
    entries = list(islice(fitting, limit or None))
    following = next(fitting, None) if limit else None
    if following is None:
        return ListPage(number, entries, "", None)
    # What is left is only known where nothing but the namespace selects, as there.
    chosen = selected.labels or selected.fields
    left = None if chosen else view.count(journal, number, following.key, selected.namespace)
    return ListPage(number, entries, _encode(number, following.key), left)


def _version(journal: Journal, query: Mapping[str, str]) -> int:
    asked, match = whole(query, "resourceVersion"), query.get("resourceVersionMatch", "")
    if match and "resourceVersion" not in query:
        raise invalid_options(
            "resourceVersionMatch",
            "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        )
    if match not in {"", "Exact", "NotOlderThan"}:
        raise invalid_options(
            "resourceVersionMatch",
            f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""',
        )
    if match == "Exact" and not asked:
        raise invalid_options(
            "resourceVersionMatch",
            'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        )
    if asked > journal.version:
        raise too_large_version(asked, journal.version)
    exact = match == "Exact" or (asked and not match and whole(query, "limit"))
    if not exact:
        return journal.version
    if asked < journal.compacted:
        raise list_expired("")
    return asked


def _encode(number: int, start: str) -> str:
    token = msgspec.json.encode(_ContinueToken("meta.k8s.io/v1", number, f"{start}\0"))
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


def _resumed(journal: Journal, text: str) -> tuple[int, str]:
    """Return the version and the first key of a continue token."""
    try:
        padded = text + "=" * (-len(text) % 4)
        token = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_ContinueToken)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise bad_request(f"continue key is not valid: {text}") from None
    start = token.start.rstrip("\0")
    if token.rv == INCONSISTENT:
        return journal.version, start
    if token.rv < journal.compacted:
        raise list_expired(_encode(INCONSISTENT, start))
    return min(token.rv, journal.version), start
