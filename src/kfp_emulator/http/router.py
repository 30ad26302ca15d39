"""Routing as grpc-gateway and the mux before it do it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from posixpath import normpath
from typing import Any

from kfp_emulator.protocol.errors import Code, GatewayRefusal

Handler = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: its method (`*` for the routes that look at none), path template, name and handler."""

    method: str
    path: str
    operation: str
    handler: Handler


@dataclass(slots=True)
class _Node:
    """A place in the tree of path segments."""

    literals: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    routes: dict[str, dict[str, tuple[Route, tuple[str, ...]]]] = field(default_factory=dict)
    """verb -> method -> route and the names of its parameters."""


class Moved(Exception):
    """The path is not clean: the mux redirects to the one that is."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


def clean_path(path: str) -> str:
    """Return a path without empty, `.` and `..` segments, as path.Clean of Go, but for the slash at its end."""
    clean = normpath(path)
    clean = "/" + clean.lstrip("/")
    return clean + "/" if path.endswith("/") and clean != "/" else clean


class NotFound(Exception):
    """No route at all: outside /apis and the emulator's own paths."""


class Router:
    """Finds the route of a request.

    Literal segments come before parameters; custom verbs (`{run_id}:archive`) stand only on the last segment.
    """

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self._root = _Node()
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node = self._root
        names = []
        *segments, last = route.path.strip("/").split("/")
        last, _, verb = last.partition(":")
        for segment in (*segments, last):
            if segment.startswith("{"):
                names.append(segment.strip("{}"))
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        node.routes.setdefault(verb, {})[route.method] = (route, tuple(names))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route, and the parameters in the path.

        Raises:
            GatewayRefusal: 404 under /apis; 501 where only the method does not fit.
            NotFound: anywhere else.
            Moved: the path is not clean.

        """
        if not path.startswith("/"):  # OPTIONS *
            raise NotFound
        if "//" in path or "/." in path:
            clean = clean_path(path)
            if clean != path:
                raise Moved(clean)
        segments = path.split("/")[1:]
        verb = ""
        last, colon, tail = segments[-1].rpartition(":")
        found = None
        if colon and last:
            verb = tail
            found = self._match(method, [*segments[:-1], last], verb)
        if found is None or found[0] is None:
            found = self._match(method, segments, "") or found
        if found is None:
            if not path.startswith("/apis/"):
                raise NotFound
            raise GatewayRefusal(Code.NOT_FOUND, "Not Found")
        route, parameters = found
        if route is None:
            if not path.startswith("/apis/"):
                raise GatewayRefusal(Code.UNIMPLEMENTED, "Method Not Allowed", 405)
            raise GatewayRefusal(Code.UNIMPLEMENTED, "Method Not Allowed")
        return route, parameters

    def _match(
        self, method: str, segments: list[str], verb: str
    ) -> tuple[Route | None, dict[str, str]] | None:
        """Return the route, no route but a match (another method), or nothing."""
        other: tuple[None, dict[str, str]] | None = None
        for node, values in _walk(self._root, segments, 0, ()):
            methods = node.routes.get(verb)
            if methods is None:
                continue
            entry = methods.get(method) or methods.get("*")
            if entry is not None:
                route, names = entry
                return route, dict(zip(names, values, strict=True))
            other = (None, {})
        return other


def _walk(node: _Node, segments: list[str], index: int, values: tuple[str, ...]) -> Any:
    if index == len(segments):
        yield node, values
        return
    segment = segments[index]
    child = node.literals.get(segment)
    if child is not None:
        yield from _walk(child, segments, index + 1, values)
    if node.parameter is not None and (segment or index == len(segments) - 1):  # `/runs/` is a run without id
        yield from _walk(node.parameter, segments, index + 1, (*values, segment))
