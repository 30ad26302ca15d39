"""The collector's process: it ends with the test, however that ends, and harms it in no way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from in_a_loop import in_a_loop
from made_evidence import exposition
from metrics_endpoint import answering, http

from kfp_perf.config import TestConfig
from kfp_perf.evidence import Sink, Source, SourceFinding
from kfp_perf.evidence.collector import Order, collect
from kfp_perf.evidence.endpoints import SERVER
from kfp_perf.evidence.process import EvidenceProcess
from kfp_perf.evidence.readings import read_scrapes
from kfp_perf.pacing import RealClock
from kfp_perf.result.evidence import EvidenceFiles
from kfp_perf.targets import resolve_target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kfp_perf.evidence.source import Notice

ANCHOR = RealClock().anchor
LONG_SECONDS = 20.0


def config_for(url: str, **more: Any) -> TestConfig:
    return TestConfig(KFP_API_HOST=url, evidence=True, **more)


def texts(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "kfp_perf.evidence.process"]


def with_endpoint(test: Any) -> None:
    """Run a blocking function beside an endpoint that serves; it gets the URL."""

    async def run() -> None:
        async with answering(http(exposition("server", 5.0))) as (url, _):
            await asyncio.to_thread(test, url)

    asyncio.run(run())


def test_it_looks_before_the_load_and_once_more_after_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def run(url: str) -> None:
        folder = tmp_path / "evidence"
        with EvidenceProcess(config_for(url, KFP_TOKEN="a-secret-token"), folder, ANCHOR) as process:
            pid = process.pid
            assert "Evidence: metrics of the KFP API server" in texts(caplog)
            assert read_scrapes(EvidenceFiles(folder), "server") is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        readings = read_scrapes(EvidenceFiles(folder), "server")
        assert readings is not None
        assert readings.count == 2
        found = {state.name: state for state in EvidenceFiles(folder).sources()}
        assert found["server"].found == f"{url}/metrics"
        everything = b"".join(path.read_bytes() for path in folder.iterdir())
        assert b"secret" not in everything
        assert not (folder / "collector.log").exists(), "it is kept only where it says something"

    with_endpoint(run)


@pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="the end of another's child is seen by a pidfd of Linux"
)
def test_it_ends_when_the_test_was_killed(tmp_path: Path) -> None:
    program = (
        "import os, sys, signal; from pathlib import Path; from kfp_perf.config import TestConfig;"
        "from kfp_perf.evidence.process import EvidenceProcess;"
        "config = TestConfig(KFP_API_HOST='http://127.0.0.1:1', evidence=True);"
        f"process = EvidenceProcess(config, Path({str(tmp_path)!r}), 0.0).__enter__();"
        "print(process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, timeout=LONG_SECONDS
    )
    assert done.returncode == -signal.SIGKILL
    with contextlib.suppress(ProcessLookupError):  # it has ended already
        ending = os.pidfd_open(int(done.stdout))
        try:
            assert select.select([ending], [], [], LONG_SECONDS)[0], "the collector outlived the test"
        finally:
            os.close(ending)
    assert EvidenceFiles(tmp_path).sources(), "what it knew is on disk"


def test_a_collector_that_dies_is_named_once_and_the_test_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with EvidenceProcess(config_for("http://127.0.0.1:1"), tmp_path, ANCHOR) as process:
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        process.look()
        process.look()
        assert process.live == []
    said = [text for text in texts(caplog) if "No more evidence" in text]
    assert said == ["No more evidence is collected, and the test goes on: it ended early"]


def test_a_folder_that_cannot_be_made_is_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    with EvidenceProcess(config_for("http://127.0.0.1:1"), tmp_path / "file" / "evidence", ANCHOR) as process:
        process.look()
    (said,) = texts(caplog)
    assert "cannot be started: Not a directory" in said


def test_evidence_can_be_switched_off(tmp_path: Path) -> None:
    config = TestConfig(KFP_API_HOST="http://127.0.0.1:1", evidence=False)
    with EvidenceProcess(config, tmp_path / "evidence", ANCHOR) as process:
        process.look()
    assert not (tmp_path / "evidence").exists()


def test_an_order_holds_the_settings_that_were_given(tmp_path: Path) -> None:
    config = config_for(
        "https://kubeflow.example/pipeline",
        KFP_TOKEN="a-secret-token",
        KFP_CA_CERT=tmp_path / "ca.pem",
        metrics_urls="controller=https://argo:9090/metrics, minio=http://minio:9000/x",
    )
    order = msgspec.json.decode(Order.of(config, tmp_path, ANCHOR).encode(), type=Order)
    read = order.config()
    assert read.KFP_url == config.KFP_url
    assert read.KFP_TOKEN == config.KFP_TOKEN
    assert read.KFP_CA_CERT == config.KFP_CA_CERT
    assert read.metrics_urls == {
        "controller": "https://argo:9090/metrics",
        "minio": "http://minio:9000/x",
    }


def test_an_order_takes_no_setting_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target by name has its own settings or the defaults, and credentials of another one are not sent to it."""
    (tmp_path / "targets.toml").write_text('[other]\nurl = "https://other.example"\n')
    for name, value in (
        ("KFP_TOKEN", "a-secret-token"),
        ("KFP_USER", "someone"),
        ("API_PORT", "9999"),
        ("local", "true"),
        ("KFP_PERF_KUBERNETES_CONTEXT", "production"),
        ("KFP_PERF_TARGETS", str(tmp_path / "targets.toml")),
    ):
        monkeypatch.setenv(name, value)
    config = resolve_target("other", TestConfig.from_environment())
    read = msgspec.json.decode(Order.of(config, tmp_path, ANCHOR).encode(), type=Order).config()
    assert read.KFP_url == "https://other.example"
    assert (read.KFP_TOKEN, read.KFP_USER, read.LOCAL, read.kubernetes_context) == (None, None, False, None)


def test_an_order_holds_the_defaults_of_a_subclass(tmp_path: Path) -> None:
    class Ours(TestConfig):
        KFP_API_HOST: str = "https://ours.example"

    assert Order.of(Ours(), tmp_path, ANCHOR).config().KFP_url == "https://ours.example"


async def _broken(_config: TestConfig, _sink: Sink, _stop: asyncio.Event) -> None:
    raise RuntimeError("boom")


async def _hanging(_config: TestConfig, sink: Sink, _stop: asyncio.Event) -> None:
    sink.found("hanging", "here")
    await asyncio.Event().wait()


async def _look(_config: TestConfig, _part: str) -> SourceFinding:
    return SourceFinding(found="here")


def _source(name: str, collect_: Any) -> Source:
    return Source(name, name, lambda _config: [(name, name)], _look, collect_, 2**20)


@in_a_loop
async def test_a_source_that_fails_or_hangs_ends_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kfp_perf.evidence.collector._LAST_LOOK_SECONDS", 0.3)
    said: list[Notice] = []
    stop = asyncio.Event()
    async with answering(http(exposition("server", 5.0))) as (url, _):
        order = Order.of(config_for(url), tmp_path, ANCHOR)
        sources: Sequence[Source] = (_source("broken", _broken), _source("hanging", _hanging), SERVER)
        stop.set()
        await collect(order, stop, said.append, sources)
    states = {state.name: state for state in EvidenceFiles(tmp_path).sources()}
    assert states["broken"].missing == "its collection failed: RuntimeError: boom"
    assert states["hanging"].found == "here"
    assert states["server"].found
    readings = read_scrapes(EvidenceFiles(tmp_path), "server")
    assert readings is not None
    assert readings.count == 2


class _Line(msgspec.Struct):
    text: str


def test_what_a_source_writes_is_bounded_and_what_is_left_out_is_counted(tmp_path: Path) -> None:
    clock = [0.0]
    sink = Sink(tmp_path, [("a", "A")], 2**20, lambda: clock[0], lambda _: None)
    line = _Line("x" * 1000)
    written = sum(sink.append("a", "a.jsonl", line) for _ in range(2000))
    assert 200 < written < 300  # a quarter of a MiB at once
    assert sink.states[0].left_out == 2000 - written
    clock[0] = 1800.0
    later = sum(sink.append("a", "a.jsonl", line) for _ in range(2000))
    assert 480 < later < 560  # half a MiB more in half an hour
    sink.close()
    assert (tmp_path / "a.jsonl").stat().st_size < 2**20


def test_a_file_that_cannot_be_written_is_a_failure_said_once(tmp_path: Path) -> None:
    said: list[Notice] = []
    sink = Sink(tmp_path / "none", [("a", "A")], 2**20, lambda: 0.0, said.append)
    for _ in range(3):
        assert not sink.append("a", "a.jsonl", _Line("x"))
    assert [notice.failed for notice in said] == ["a.jsonl cannot be written: No such file or directory"]
    assert sink.states[0].failures == 3


def test_an_endpoint_that_finds_a_new_reason_each_time_does_not_fill_the_log(tmp_path: Path) -> None:
    said: list[Notice] = []
    sink = Sink(tmp_path, [("a", "A"), ("b", "B")], 2**20, lambda: 0.0, said.append)
    sink.found("a", "here")
    for number in range(100):
        sink.failed("a", f"reason {number}")
        sink.missing("b", f"reason {number}")
    assert len([one for one in said if one.part == "a" and one.failed]) == 5
    assert len([one for one in said if one.part == "b"]) == 5
    assert [(one.failures, one.missing) for one in sink.states] == [(100, ""), (0, "reason 99")]
    sink.found("b", "there")
    assert said[-1].state is not None
    assert said[-1].state.found == "there"
