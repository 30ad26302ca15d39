"""Metrics of the controllers: names as recorded on a real installation, values as the model has them."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from kubernetes_world import World
from small_pipelines import Draft, task

from kfp_emulator.clock import SECOND
from kfp_emulator.cluster.outcomes import Outcome
from kfp_emulator.cluster.timing import Profile, constant, load_profile
from kfp_emulator.server.components import restart_component

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDED = {
    "argo_workflows_gauge": "gauge",
    "argo_workflows_is_leader": "gauge",
    "argo_workflows_k8s_request_total": "counter",
    "argo_workflows_operation_duration_seconds": "histogram",
    "argo_workflows_pods_gauge": "gauge",
    "argo_workflows_pods_total_count": "counter",
    "argo_workflows_queue_adds_count": "counter",
    "argo_workflows_queue_depth_gauge": "gauge",
    "argo_workflows_queue_duration": "histogram",
    "argo_workflows_queue_latency": "histogram",
    "argo_workflows_queue_unfinished_work": "gauge",
    "argo_workflows_total_count": "counter",
    "argo_workflows_workers_busy_count": "gauge",
    "process_cpu_seconds_total": "counter",
    "process_resident_memory_bytes": "gauge",
    "process_start_time_seconds": "gauge",
}
"""Families of a recorded controller that the emulator has, and their kinds."""


def hello() -> Any:
    draft = Draft("one")
    draft.container("work")
    return draft.pipeline({"t1": task("work")})


def samples(text: str) -> dict[str, float]:
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def scrape(world: World) -> dict[str, float]:
    return samples(world.installation.metrics.workflow_controller())


def test_families_are_those_that_were_recorded() -> None:
    world = World(Profile())
    world.submit(hello())
    world.clock.run_until_idle()
    text = world.installation.metrics.workflow_controller()
    families = dict(line.split()[2:4] for line in text.splitlines() if line.startswith("# TYPE"))
    limiter = {"argo_workflows_client_rate_limiter_latency": "histogram"}  # of Argo 4.1
    assert families == RECORDED | limiter
    found = samples(text)
    bounds = [name.partition('le="')[2].rstrip('"}') for name in found if "queue_latency_bucket" in name]
    assert bounds == ["1", "5", "20", "60", "180", "+Inf"]


def test_workflows_and_pods_are_counted_by_phase() -> None:
    world = World(replace(Profile(), executor_seconds=constant(60)))
    world.cluster.set_outcome(Outcome(run_id="bad", failures=-1, seconds=0))
    for run_id in ("good", "bad"):
        world.submit(hello(), run_id)
    world.clock.advance(30 * SECOND)
    during = scrape(world)
    assert during['argo_workflows_gauge{phase="Running"}'] == 1
    assert during['argo_workflows_gauge{phase="Failed"}'] == 1
    assert during['argo_workflows_pods_gauge{phase="Running"}'] == 1
    world.clock.run_until_idle()
    after = scrape(world)
    assert after['argo_workflows_gauge{phase="Succeeded"}'] == 1
    assert after['argo_workflows_pods_gauge{phase="Running"}'] == 0
    totals = {
        phase: after[f'argo_workflows_total_count{{namespace="kubeflow",phase="{phase}"}}']
        for phase in ("Running", "Succeeded", "Failed")
    }
    assert totals == {"Running": 2, "Succeeded": 1, "Failed": 1}
    assert after['argo_workflows_pods_total_count{namespace="kubeflow",phase="Failed"}'] == 1
    world.cluster.delete("good")
    assert "Succeeded" not in {name for name, value in scrape(world).items() if value and "_gauge" in name}


def test_the_queue_is_that_of_the_modelled_workers() -> None:
    profile = Profile(controller_workers=1, controller_pass_seconds=constant(10))
    world = World(profile)
    for number in range(4):
        world.submit(hello(), f"run-{number}")
    world.clock.advance(2 * SECOND)
    busy = scrape(world)
    assert busy['argo_workflows_workers_busy_count{worker_type="workflow_queue"}'] == 1
    assert busy['argo_workflows_queue_depth_gauge{queue_name="workflow_queue"}'] == 3
    assert busy['argo_workflows_queue_unfinished_work{queue_name="workflow_queue"}'] == pytest.approx(6)
    world.clock.advance(39 * SECOND)
    later = scrape(world)
    # The four first looks began after 0, 10, 20 and 30 s; those after them wait behind.
    latency = "argo_workflows_queue_latency"
    waited = {
        le: later[f'{latency}_bucket{{queue_name="workflow_queue",le="{le}"}}'] for le in ("1", "20", "60")
    }
    assert waited == {"1": 1, "20": 3, "60": 5}
    assert later['argo_workflows_queue_duration_sum{queue_name="workflow_queue"}'] == pytest.approx(40)


def test_a_look_is_added_to_the_queue_once() -> None:
    world = World(load_profile("kfp-2.17"))
    world.submit(hello())
    world.clock.run_until_idle()
    found = scrape(world)
    looks = world.cluster.counts.looks
    assert found['argo_workflows_queue_adds_count{queue_name="workflow_queue"}'] == looks
    assert found['argo_workflows_queue_latency_count{queue_name="workflow_queue"}'] == looks
    assert found["argo_workflows_operation_duration_seconds_count"] == looks


def test_requests_wait_for_the_throttle_of_the_client() -> None:
    world = World(load_profile("kfp-2.17"))
    for number in range(30):
        world.submit(hello(), f"run-{number}")
    world.clock.run_until_idle()
    found = scrape(world)
    requests = "argo_workflows_k8s_request_total"
    assert found[f'{requests}{{kind="pods",status_code="201",verb="Create"}}'] == 90
    assert found[f'{requests}{{kind="pods",status_code="200",verb="Patch"}}'] == 90
    limiter = "argo_workflows_client_rate_limiter_latency"
    assert found[f"{limiter}_count"] == sum(
        value for name, value in found.items() if name.startswith(requests)
    )
    assert found[f"{limiter}_sum"] > 10
    assert found[f'{limiter}_bucket{{le="0.1"}}'] < found[f"{limiter}_count"]


def test_a_restart_counts_from_zero_at_a_later_start() -> None:
    world = World(Profile())
    world.submit(hello())
    world.clock.advance(60 * SECOND)
    before = scrape(world)
    restart_component(world.backend, "workflow-controller", "OOMKilled", None, 5)
    world.clock.advance(6 * SECOND)
    after = scrape(world)
    adds = 'argo_workflows_queue_adds_count{queue_name="workflow_queue"}'
    assert (before[adds] > 0, after[adds]) == (True, 0)
    assert after["process_start_time_seconds"] == before["process_start_time_seconds"] + 65
    assert after["process_cpu_seconds_total"] < before["process_cpu_seconds_total"]
    assert after['argo_workflows_gauge{phase="Succeeded"}'] == 1  # what is in the cluster is still there


def test_the_schedule_controller_counts_its_looks() -> None:
    world = World(Profile())
    world.backend.schedules.stats.looked(0.0)
    world.backend.schedules.stats.looked(12.0)
    found = samples(world.installation.metrics.schedule_controller())
    name = "process_scheduled_workflow_duration_seconds"
    assert found["scheduled_workflow_throughput_total"] == 2
    assert found["scheduled_workflow_queue_size"] == 0
    assert found[f'{name}_bucket{{status="ok",le="10"}}'] == 1
    assert found[f'{name}_count{{status="ok"}}'] == 2


# --- over a socket


def fetch(url: str, timeout: float = 20, context: ssl.SSLContext | None = None) -> tuple[str, str]:
    """Return the content type and the body of a page."""
    with urllib.request.urlopen(url, timeout=timeout, context=context) as answer:
        return answer.headers["content-type"], answer.read().decode()


def received(connection: socket.socket) -> bytes:
    """Return what comes before nothing more does."""
    got = b""
    try:
        while more := connection.recv(65_536):
            got += more
    except TimeoutError:
        return got
    pytest.fail("the connection was closed")


def test_the_pages(start: Callable[..., Any]) -> None:
    api = start()
    api.wait(api.run()["run_id"])
    kind, text = fetch(api.urls["controller_metrics_url"])
    assert kind == "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
    assert samples(text)['argo_workflows_gauge{phase="Succeeded"}'] == 1
    assert "scheduled_workflow_throughput_total" in fetch(api.urls["schedule_metrics_url"])[1]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetch(api.urls["controller_metrics_url"] + "x")


@pytest.mark.parametrize(
    ("effect", "seen"),
    [
        ({"kind": "status", "status": 503, "body": "html"}, None),
        (
            {"kind": "garbage", "text": "<html>log in</html>", "content_type": "text/html"},
            "<html>log in</html>",
        ),
        ({"kind": "false_values", "value": "nan"}, "argo_workflows_is_leader NaN\n"),
        ({"kind": "false_values", "value": "negative"}, "argo_workflows_is_leader -1\n"),
        ({"kind": "false_values", "value": "infinite"}, "argo_workflows_is_leader +Inf\n"),
        ({"kind": "false_values", "value": "text"}, "argo_workflows_is_leader many\n"),
    ],
)
@pytest.mark.parametrize("target", ["controller_metrics", "metrics"])
def test_an_endpoint_that_does_not_tell_the_truth(
    start: Callable[..., Any], target: str, effect: dict[str, Any], seen: str | None
) -> None:
    api = start()
    api.post("/emulator/v1/faults", [{"target": target, "effect": effect}])
    url = api.urls["controller_metrics_url"] if target == "controller_metrics" else f"{api.url}/metrics"
    if seen is None:
        with pytest.raises(urllib.error.HTTPError, match="503"):
            fetch(url)
        return
    wanted = (
        seen
        if target == "controller_metrics"
        else seen.replace("argo_workflows_is_leader", "process_max_fds")
    )
    assert wanted in fetch(url)[1]
    other = f"{api.url}/metrics" if target == "controller_metrics" else api.urls["controller_metrics_url"]
    assert wanted not in fetch(other)[1]


def test_values_that_go_backwards(start: Callable[..., Any]) -> None:
    api = start()
    rule = {"target": "controller_metrics", "effect": {"kind": "false_values"}}
    api.post("/emulator/v1/faults", [rule])
    starts = [
        samples(fetch(api.urls["controller_metrics_url"])[1])["process_start_time_seconds"] for _ in range(8)
    ]
    assert starts != sorted(starts)


def test_an_endpoint_that_hangs(start: Callable[..., Any]) -> None:
    api = start()
    api.post("/emulator/v1/faults", [{"target": "controller_metrics", "effect": {"kind": "stall"}}])
    parts = urlsplit(api.urls["controller_metrics_url"])
    with socket.create_connection((parts.hostname, parts.port), timeout=0.2) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        got = received(connection)
    assert b"argo_workflows" in got
    assert api.get("/emulator/v1/server")["now_us"]  # all else is served


def test_a_controller_that_is_down_breaks_connections(start: Callable[..., Any]) -> None:
    api = start()
    api.post("/emulator/v1/components/workflow-controller:restart", {"outage_seconds": 3600})
    with pytest.raises((ConnectionError, http.client.HTTPException, urllib.error.URLError)):
        fetch(api.urls["controller_metrics_url"])
    assert fetch(api.urls["schedule_metrics_url"])


def test_the_ready_line_names_all_urls_and_a_certificate_may_be_self_signed(
    spawn: Callable[..., Any],
) -> None:
    api, process = spawn("--controller-metrics-tls", "--profile", "instant")
    assert api.urls["pid"] == process.pid
    assert set(api.urls) == {"url", "pid", "kubernetes_url", "controller_metrics_url", "schedule_metrics_url"}
    assert json.loads(fetch(f"{api.urls['kubernetes_url']}/version")[1])["gitCommit"] == "kfp-perf-emulator"
    url = api.urls["controller_metrics_url"]
    assert url.startswith("https://")
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(url)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    assert "argo_workflows_is_leader 1" in fetch(url, context=context)[1]


def test_tls_without_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    from kfp_emulator.http.certificate import NoCertificate, self_signed

    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoCertificate, match="openssl is not installed"):
        self_signed("127.0.0.1")
