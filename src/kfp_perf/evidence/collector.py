"""The collector's process: `python -m kfp_perf.evidence.collector`, started for each test.

Its first line of input is an `Order`. It ends when its input ends, and so with the test, even one that is
killed. It writes files into the folder of the order, and a `Notice` a line to its standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from pydantic import SecretStr

from kfp_perf.config import TestConfig
from kfp_perf.evidence import SOURCES
from kfp_perf.evidence.source import Notice, Sink, States
from kfp_perf.pacing import RealClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kfp_perf.evidence.source import Source

_LAST_LOOK_SECONDS = 2.0
_SAVE_SECONDS = 0.5
#: The generator goes first where both want a core.
_NICENESS = 5


class Order(msgspec.Struct, frozen=True):
    """What to collect, and into which folder: all settings of `TestConfig`, secrets included.

    `given` are the names of those that are no defaults. `anchor` is that of the test's clock, so that all times of
    a result are comparable.
    """

    settings: dict[str, Any]
    given: list[str]
    folder: str
    anchor: float

    @classmethod
    def of(cls, config: TestConfig, folder: Path, anchor: float) -> Order:
        """The order for a test. Settings of a user's subclass are left out: the collector has no use for them."""
        settings = {name: getattr(config, name) for name in TestConfig.model_fields}
        return cls(
            {
                name: value.get_secret_value() if isinstance(value, SecretStr) else value
                for name, value in settings.items()
            },
            sorted(config.model_fields_set & settings.keys()),
            str(folder),
            anchor,
        )

    def encode(self) -> bytes:
        """The order as a line of JSON."""
        return msgspec.json.encode(self, enc_hook=str) + b"\n"

    def config(self) -> TestConfig:
        """The settings of the test. None is read from the environment, which may hold those of another target."""
        config = TestConfig(**self.settings)
        # Whether a port was given decides the URL.
        return TestConfig.model_construct(set(self.given), **dict(config))


_order_decoder = msgspec.json.Decoder(Order)


async def collect(
    order: Order, stop: asyncio.Event, notify: Callable[[Notice], None], sources: Sequence[Source] = SOURCES
) -> None:
    """Collect from all sources until `stop` is set. What a source raises is named, and ends that source only."""
    config, folder = order.config(), Path(order.folder)
    now = RealClock(order.anchor).now
    sinks = [
        (source, Sink(folder, source.parts(config), source.bytes_an_hour, now, notify)) for source in sources
    ]
    states = States(folder, [sink for _, sink in sinks])
    tasks = [
        asyncio.create_task(_guarded(source, config, sink, stop)) for source, sink in sinks if sink.states
    ]
    stopped = asyncio.create_task(stop.wait())
    while not stopped.done():
        states.save()
        await asyncio.wait([stopped], timeout=_SAVE_SECONDS)
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=_LAST_LOOK_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for _, sink in sinks:
        sink.close()
    states.save(at_once=True)


async def _guarded(source: Source, config: TestConfig, sink: Sink, stop: asyncio.Event) -> None:
    try:
        await source.collect(config, sink, stop)
    except Exception as error:  # noqa: BLE001  evidence never harms the test, nor the other sources
        for state in sink.states:
            sink.missing(state.name, f"its collection failed: {type(error).__name__}: {error}")


async def _main() -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    order = _order_decoder.decode(sys.stdin.buffer.readline())

    def end_of_input() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            stop.set()

    def notify(notice: Notice) -> None:
        # There is no reader where the test was killed; its files matter all the same.
        with contextlib.suppress(OSError):
            os.write(sys.stdout.fileno(), msgspec.json.encode(notice) + b"\n")

    loop.add_reader(sys.stdin.fileno(), end_of_input)
    await collect(order, stop, notify)


def main() -> None:
    """Run until the input ends."""
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    asyncio.run(_main())


if __name__ == "__main__":
    main()
