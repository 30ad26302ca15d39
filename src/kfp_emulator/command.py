"""The command `emulator`: a KFP API server on this machine, for any KFP client."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from socket import socket
    from ssl import SSLContext

    from kfp_emulator.options import Options


_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LARGEST_OFFSET_SECONDS = 10 * 365 * 86_400


class _BadOptions(click.ClickException):
    """The options cannot be used: one line, and exit code 2."""

    exit_code = 2


def _pairs(_context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for value in values:
        name, equals, rest = value.partition("=")
        if not (name and equals and rest):
            raise click.BadParameter(f"{value!r} has not the form NAME=VALUE", param=parameter)
        pairs[name] = rest
    return pairs


def _offset(_context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not abs(value) <= _LARGEST_OFFSET_SECONDS:
        raise click.BadParameter(f"{value} is more than ten years", param=parameter)
    return value


@click.command("emulator")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8888, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
@click.option(
    "--profile", default="fast", show_default=True, help="Timing: a built-in profile, or a JSON file."
)
@click.option("--profiles", is_flag=True, help="List the built-in profiles, and end.")
@click.option("--seed", default=0, show_default=True, type=int, help="Seed of all that is random.")
@click.option(
    "--store", type=click.Path(path_type=Path, dir_okay=False), help="SQLite file to keep everything in."
)
@click.option("--prefill", default="", help="Rows to start with: runs=100000,pipelines=2000,experiments=200.")
@click.option(
    "--faults", type=click.Path(path_type=Path, dir_okay=False), help="JSON file of faults to inject."
)
@click.option(
    "--clock-offset", default=0.0, callback=_offset, help="Seconds that the API server's clock is ahead."
)
@click.option(
    "--cluster-clock-offset",
    default=None,
    type=float,
    callback=_offset,
    help="The same of the workflow controller's  [as the server's]",
)
@click.option("--multi-user", is_flag=True, help="Namespaces, users, and who may do what.")
@click.option(
    "--user-header", default="kubeflow-userid", show_default=True, help="Header that names the user."
)
@click.option("--user-prefix", default="", help="What stands before the user's name in it.")
@click.option(
    "--grant",
    multiple=True,
    callback=_pairs,
    metavar="USER=NS[,NS]",
    help="Namespaces of a user  [all of all users]",
)
@click.option("--token", multiple=True, callback=_pairs, metavar="TOKEN=USER", help="A bearer token's user.")
@click.option(
    "--access-reviews",
    default=0.0,
    type=click.FloatRange(0, 1_000_000),
    help="Throttle of access reviews a second; 5 on a real server; 0: none.",
)
@click.option(
    "--namespace", default="kubeflow", show_default=True, help="Namespace of the installation itself."
)
@click.option(
    "--kfp-version",
    default="2.17.0",
    show_default=True,
    help="Version to present; 2.5 and older: old errors.",
)
@click.option("--cache-entries", is_flag=True, help="Show the anonymous task entries of cached tasks.")
@click.option(
    "--retry-nodes/--no-retry-nodes",
    default=None,
    help="Double the nodes, as a default retry strategy does  [from version 2.17 on].",
)
@click.option("--read-times", is_flag=True, help="Let reads take as long as those of a real server.")
@click.option("--any-package-url", is_flag=True, help="Fetch pipeline packages from any host.")
@click.option(
    "--kubernetes-port",
    default=0,
    type=click.IntRange(0, 65535),
    help="Port of the Kubernetes API  [a free one]",
)
@click.option("--no-kubernetes", is_flag=True, help="Serve no Kubernetes API.")
@click.option(
    "--kubernetes-token",
    multiple=True,
    callback=_pairs,
    metavar="TOKEN=USER",
    help="A bearer token that the Kubernetes API demands, and its user.",
)
@click.option(
    "--controller-metrics-port",
    default=0,
    type=click.IntRange(0, 65535),
    help="Port of the controllers' metrics  [a free one]",
)
@click.option("--no-controller-metrics", is_flag=True, help="Serve no metrics of the controllers.")
@click.option(
    "--controller-metrics-tls",
    is_flag=True,
    help="Serve them by TLS with a self-signed certificate, as Argo does; needs openssl.",
)
@click.option("--exit-with-stdin", is_flag=True, help="End when standard input closes.")
@click.option("--log-level", default="WARNING", show_default=True, help="Level of the log on standard error.")
def emulator(**given: Any) -> None:
    """Serve an emulated KFP API.

    When it is ready, it prints one line of JSON: {"url": ..., "kubernetes_url": ..., "pid": ...}.
    It ends on Ctrl-C.
    """
    if given["profiles"]:
        _print_profiles()
        return
    logging.basicConfig(
        level=_level(given["log_level"]),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    options = _options(given)
    sockets = _sockets(given)
    tls = _tls(given) if given["controller_metrics_tls"] else None
    with _ending_at_once():
        _runner()(_serve(options, sockets, tls, exit_with_stdin=given["exit_with_stdin"]))


def _sockets(given: dict[str, Any]) -> dict[str, socket]:
    """Bind all ports that are wanted, by what is served there."""
    from kfp_emulator.http.server import open_socket

    ports = {"api": given["port"]}
    for name in ("kubernetes", "controller_metrics"):
        if not given[f"no_{name}"]:
            ports[name] = given[f"{name}_port"]
    sockets: dict[str, socket] = {}
    for name, port in ports.items():
        try:
            sockets[name] = open_socket(given["host"], port)
        except OSError as error:
            for bound in sockets.values():
                bound.close()
            raise _end(f"cannot listen on {given['host']}:{port}: {error.strerror or error}") from None
    return sockets


def _tls(given: dict[str, Any]) -> SSLContext:
    from kfp_emulator.http.certificate import NoCertificate, self_signed

    try:
        return self_signed(given["host"])
    except NoCertificate as error:
        raise _end(f"--controller-metrics-tls: {error}") from None


@contextlib.contextmanager
def _ending_at_once() -> Iterator[None]:
    """Let a signal end the command in the middle of a long prefill, until the server has its own way to end.

    asyncio's handler would wait for the next await. Nothing is committed of a prefill that was cut short.
    """

    def leave(_number: int, _frame: object) -> None:
        raise SystemExit(0)

    before = {number: signal.signal(number, leave) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(message: str) -> click.ClickException:
    """Return what ends the command with one line and exit code 2."""
    return _BadOptions(message)


def _level(name: str) -> int:
    level = logging.getLevelNamesMapping().get(name.upper())
    if level is None:
        raise _end(f"--log-level: {name!r} is none of {', '.join(logging.getLevelNamesMapping())}")
    return level


def _print_profiles() -> None:
    from kfp_emulator.cluster.timing import list_profiles

    for name, description in list_profiles().items():
        click.echo(f"{name:<10} {description}")


def _options(given: dict[str, Any]) -> Options:
    """Read the options that need more than click's types."""
    from kfp_emulator.cluster.timing import load_profile
    from kfp_emulator.errors import InputError
    from kfp_emulator.options import Options
    from kfp_emulator.server.faults import FaultError, read_rules
    from kfp_emulator.server.prefill import parse_prefill

    try:
        profile = load_profile(given["profile"])
    except InputError as error:
        raise _end(f"--profile: {error}") from None
    try:
        prefill = parse_prefill(given["prefill"])
    except ValueError as error:
        raise _end(f"--prefill: {error}") from None
    rules: tuple[Any, ...] = ()
    if given["faults"] is not None:
        try:
            rules = tuple(read_rules(given["faults"].read_bytes()))
        except OSError as error:
            raise _end(f"--faults: {given['faults']} cannot be read: {error.strerror}") from None
        except FaultError as error:
            raise _end(f"--faults: {given['faults']}: {error}") from None
    grants = {user: frozenset(names.split(",")) for user, names in given["grant"].items()} or None
    return Options(
        profile=profile,
        seed=given["seed"],
        store=given["store"],
        prefill=prefill,
        clock_offset_seconds=given["clock_offset"],
        cluster_clock_offset_seconds=given["cluster_clock_offset"],
        multi_user=given["multi_user"],
        user_header=given["user_header"],
        user_prefix=given["user_prefix"],
        grants=grants,
        tokens=given["token"],
        namespace=given["namespace"],
        faults=rules,
        version=given["kfp_version"],
        any_package_url=given["any_package_url"],
        read_times=given["read_times"],
        access_reviews_per_second=given["access_reviews"],
        cache_entries=given["cache_entries"],
        retry_nodes=given["retry_nodes"],
        kubernetes=not given["no_kubernetes"],
        kubernetes_tokens=given["kubernetes_token"],
    )


def _runner() -> Callable[[Any], Any]:
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    runner: Callable[[Any], Any] = uvloop.run
    return runner


async def _serve(
    options: Options, sockets: dict[str, socket], tls: SSLContext | None, *, exit_with_stdin: bool
) -> None:
    from kfp_emulator.http.ports import SidePorts
    from kfp_emulator.http.server import Server
    from kfp_emulator.options import build
    from kfp_emulator.storage.store import StoreError

    try:
        backend = build(options)
    except (StoreError, OSError) as error:
        for bound in sockets.values():
            bound.close()
        raise _end(f"--store: {error}") from None
    server = Server(backend, sockets["api"])
    sides = SidePorts(backend, sockets.get("kubernetes"), sockets.get("controller_metrics"), tls)
    _warm_up()
    await server.start()
    sides.start()
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, done.set)
    if exit_with_stdin:
        threading.Thread(target=_watch_stdin, args=(loop, done), daemon=True).start()
    try:
        click.echo(json.dumps({"url": server.url, **sides.urls, "pid": os.getpid()}))
        sys.stdout.flush()
    except OSError as error:
        raise _end(f"standard output: cannot be written: {error.strerror}") from None
    await done.wait()
    await sides.stop()
    await server.stop()


def _warm_up() -> None:
    """Do now what would stall the loop later: 0.2 s for the first condition, and collections of what stays."""
    from kfp_emulator.cluster.cel import Cel

    Cel().condition("true", {})
    gc.freeze()  # what is there now stays: no collection need look at it again
    gc.set_threshold(50_000, 20, 50)


def _watch_stdin(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    """Wait until the parent has gone, or closes the input."""
    try:
        while os.read(sys.stdin.fileno(), 4096):
            pass
    except (OSError, ValueError):
        pass
    with contextlib.suppress(RuntimeError):  # the loop is closed: the server has ended otherwise
        loop.call_soon_threadsafe(done.set)
