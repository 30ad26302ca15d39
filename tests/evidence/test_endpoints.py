"""Scrapes of real sockets: of endpoints that are good, that hang, that lie, that answer something else."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from in_a_loop import in_a_loop
from made_evidence import exposition
from metrics_endpoint import answering, endless, hang, http

from kfp_perf.config import TestConfig
from kfp_perf.evidence import SOURCES, Sink
from kfp_perf.evidence.endpoints import ENDPOINTS, SERVER, Endpoint, Unusable, look
from kfp_perf.evidence.readings import Stretch, read_scrapes
from kfp_perf.evidence.survey import survey
from kfp_perf.result.evidence import EvidenceFiles

if TYPE_CHECKING:
    from pathlib import Path

    from kfp_perf.evidence.source import Notice

GOOD = http(exposition("server", 5.0), Date="Sun, 29 Nov 2026 02:00:00 GMT")


def config_for(url: str, **more: Any) -> TestConfig:
    return TestConfig(KFP_API_HOST=url, **more)


@in_a_loop
async def test_the_servers_metrics_are_read_with_its_credentials_over_a_connection_each() -> None:
    async with answering(GOOD) as (url, heads):
        endpoint = Endpoint("server", config_for(url, KFP_TOKEN="a-secret-token"))
        line = await endpoint.scrape()
        await endpoint.scrape()
    assert line.gauges["memory"] == 5.0
    assert line.server_at == 1_795_917_600.0
    assert line.at >= line.seconds > 0.0
    assert len(heads) == 2
    assert heads[0].startswith(b"GET /metrics HTTP/1.1\r\n")
    assert b"Authorization: Bearer a-secret-token\r\n" in heads[0]
    assert b"Connection: close\r\n" in heads[0]


@in_a_loop
async def test_other_endpoints_get_no_credentials_and_need_no_trusted_certificate(tmp_path: Path) -> None:
    certificates = pytest.importorskip("certificates")
    made = certificates.make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.other)  # for another host, by an authority that nobody trusts
    answer = http(exposition("controller", 5.0))
    async with answering(answer, tls=context) as (url, heads):
        config = config_for(
            "http://unused", KFP_TOKEN="a-secret-token", metrics_urls={"controller": f"{url}/own/metrics?x=1"}
        )
        line = await Endpoint("controller", config).scrape()
    assert line.gauges["depth/workflow_queue"] == 5.0
    assert heads[0].startswith(b"GET /own/metrics?x=1 ")
    assert b"secret" not in heads[0]


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("https://argo.example/metrics", "argo.example:443", "/metrics"),
        ("http://argo.example", "argo.example:80", "/metrics"),
        ("http://[::1]:9090/a b/é?x=ü", "[::1]:9090", "/a%20b/%C3%A9?x=%C3%BC"),
    ],
)
def test_an_endpoint_is_asked_at_its_own_port_and_path(url: str, host: str, path: str) -> None:
    config = config_for("http://api.example", KFP_API_PORT=8888)
    endpoint = Endpoint("argo", config.model_copy(update={"metrics_urls": {"argo": url}}))
    assert endpoint._path == path
    assert (endpoint._transport._host, endpoint._transport._port) == (
        host.rpartition(":")[0].strip("[]"),
        int(host.rpartition(":")[2]),
    )


HTML = b"<!doctype html><title>Sign in</title>"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (hang, "no whole answer within 0.2 s"),
        (endless, "no whole answer within 0.2 s"),
        (b"", "the connection was lost before the answer came"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "the answer is not HTTP"),
        (http(HTML), "the answer holds no metrics: it is an HTML page, “Sign in”"),
        (http(b'{"kind": "Status"}'), "the answer holds no metrics: it is JSON of another shape"),
        (http(b""), "the answer holds no metrics: it is empty"),
        (http(HTML, "404 Not Found"), "the answer is 404: an HTML page, “Sign in”"),
        (http(b"", "302 Found", Location="/login"), "the answer is 302: empty"),
        (http(GOOD[:400]), "cut off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nrun_server_run_count 1\n", "was cut off"),
        (http(b"run_server_run_count one\n"), "a value is no number: run_server_run_count one"),
    ],
)
@pytest.mark.parametrize("name", ["server", "other"])
def test_what_is_no_answer_of_metrics_is_named_and_harms_nothing(answer: Any, why: str, name: str) -> None:
    @in_a_loop
    async def run() -> None:
        async with answering(answer) as (url, _):
            config = config_for(url, metrics_urls={"other": f"{url}/metrics"})
            with pytest.raises(Unusable) as raised:
                await Endpoint(name, config).scrape(0.2)
        found = str(raised.value)
        assert why in found or (name == "other" and "holds no metrics" in found)

    run()


@in_a_loop
async def test_a_look_says_where_the_metrics_are_or_why_there_are_none() -> None:
    async with answering(GOOD) as (url, _):
        found = await look(config_for(url), "server")
        assert found.found == f"{url}/metrics"
        named = await look(config_for(url, metrics_urls={"kfp": f"{url}/metrics"}), "kfp")
        assert named.found == f"{url}/metrics"
    gone = await look(config_for(url), "server")
    assert gone.missing.startswith(f"{url}/metrics: 127.0.0.1:")
    assert "refused" in gone.missing
    async with answering(http(b"", "404 Not Found")) as (url, _):
        assert "gateway" in (await look(config_for(url), "server")).remedy
    async with answering(http(exposition("controller", 1.0))) as (url, _):
        named = await look(config_for(url, metrics_urls={"argo": f"{url}/metrics"}), "argo")
        assert "named controller, it would be read in full" in named.found


@in_a_loop
async def test_a_token_that_cannot_be_read_is_a_reason_too(tmp_path: Path) -> None:
    found = await look(config_for("http://127.0.0.1:1", KFP_TOKEN_FILE=tmp_path / "none"), "server")
    assert "KFP_TOKEN_FILE" in found.missing


@in_a_loop
async def test_a_survey_looks_at_all_parts_of_the_settings() -> None:
    async with answering(GOOD) as (url, _):
        config = config_for(url, evidence=True, metrics_urls={"mysql": "http://127.0.0.1:1/metrics"})
        found = [str(one) for one in await survey(config, (SERVER, ENDPOINTS))]
        assert found[0] == f"metrics of the KFP API server, {url}/metrics"
        assert found[1].startswith("no metrics of mysql: http://127.0.0.1:1/metrics: ")
        assert await survey(config_for(url, evidence=False)) == []
    assert {source.name for source in SOURCES} >= {"server", "endpoints"}


async def collected(folder: Path, config: TestConfig, part: str) -> tuple[EvidenceFiles, Sink, list[Notice]]:
    """Collect with a stop that was given before the start: the first scrape, and the last."""
    said: list[Notice] = []
    sink = Sink(folder, [(part, f"metrics of {part}")], 2**20, lambda: 10_000.0, said.append)
    stop = asyncio.Event()
    stop.set()
    await (SERVER if part == "server" else ENDPOINTS).collect(config, sink, stop)
    sink.close()
    return EvidenceFiles(folder), sink, said


@in_a_loop
async def test_a_scrape_that_fails_is_said_once_for_each_reason_and_the_next_one_counts(
    tmp_path: Path,
) -> None:
    async with answering(http(HTML, "503 Service Unavailable"), GOOD) as (url, _):
        files, sink, said = await collected(tmp_path, config_for(url), "server")
    readings = read_scrapes(files, "server")
    assert readings is not None
    assert (readings.count, len(readings.missed)) == (1, 1)
    (state,) = sink.states
    assert state.found == f"{url}/metrics"
    assert [bool(one.state and one.state.missing) for one in said[:1]] == [True]


@in_a_loop
async def test_counters_that_are_reset_between_scrapes_harm_nothing(tmp_path: Path) -> None:
    fallen = http(exposition("server", 1.0))
    async with answering(GOOD, fallen) as (url, _):
        files, sink, _ = await collected(tmp_path, config_for(url), "server")
    readings = read_scrapes(files, "server")
    assert readings is not None
    assert (readings.resets, readings.restarts) == (1, 0)
    assert sink.states[0].failures == 0


@in_a_loop
async def test_values_that_cannot_be_are_named_while_the_others_are_kept(tmp_path: Path) -> None:
    lies = exposition("server", 5.0).replace(b"go_goroutines 5.0", b"go_goroutines NaN")
    async with answering(http(lies)) as (url, _):
        _, sink, said = await collected(tmp_path, config_for(url), "server")
    assert [one.failed for one in said if one.failed] == ["go_goroutines is nan"]
    assert sink.states[0].failures == 2


@in_a_loop
async def test_a_token_that_an_answer_repeats_is_not_quoted() -> None:
    body = b'{"message": "no such session: a-secret-token"}'
    async with answering(http(body, "403 Forbidden")) as (url, _):
        with pytest.raises(Unusable, match="no such session") as caught:
            await Endpoint("server", config_for(url, KFP_TOKEN="a-secret-token")).scrape()
    assert "secret" not in str(caught.value)


@in_a_loop
async def test_values_of_a_line_that_was_not_written_are_in_the_next_one(tmp_path: Path) -> None:
    """A line has only what has changed since the one before, which must be in the file."""
    stop = asyncio.Event()
    stop.set()
    sink = Sink(tmp_path, [("server", "S")], 2**20, lambda: 0.0, lambda _: None)
    append, outcomes = sink.append, iter((False, True))
    sink.append = lambda *line: next(outcomes) and append(*line)  # type: ignore[method-assign]
    async with answering(GOOD) as (url, _):
        await SERVER.collect(config_for(url), sink, stop)
    readings = read_scrapes(EvidenceFiles(tmp_path), "server")
    assert readings is not None
    assert [value for _, value in readings.gauge("memory", Stretch(0.0, 1e12))] == [5.0]
