from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import json
import random
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from manual_emulator import Manual

from kfp_emulator.clock import SECOND
from kfp_emulator.server.faults import Delay, FaultError, FaultPlan, read_rules

V2 = "/apis/v2beta1"


@pytest.fixture
def api(start: Any) -> Any:
    return start()


def _set(api: Any, *rules: Any) -> Any:
    return api.post("/emulator/v1/faults", list(rules))["ids"]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [(500, "kfp", "application/json"), (503, "html", "text/html"), (429, "empty", "application/json")],
)
def test_a_status_instead_of_the_work(api: Any, status: Any, body: Any, kind: Any) -> None:
    effect = {"kind": "status", "status": status, "body": body, "retry_after": "3", "message": "go away"}
    _set(api, {"operation": "CreateExperiment", "effect": effect})
    reply = api.call("POST", "experiments", {"display_name": "never"})
    assert reply.status == status
    assert reply.headers["content-type"].startswith(kind)
    assert reply.headers["retry-after"] == "3"
    if body == "kfp":
        assert reply.json["details"][0]["message"] == "go away"
    assert api.get("experiments")["total_size"] == 1


def test_a_status_after_the_work_was_done(api: Any) -> None:
    _set(api, {"operation": "CreateExperiment", "effect": {"kind": "status", "status": 502, "when": "after"}})
    assert api.call("POST", "experiments", {"display_name": "made"}).status == 502
    assert api.get("experiments")["total_size"] == 2


@pytest.mark.parametrize(("when", "made"), [("before", 1), ("after", 2)])
def test_resets_before_and_after_the_work(api: Any, when: Any, made: Any) -> None:
    _set(api, {"operation": "CreateExperiment", "count": 1, "effect": {"kind": "reset", "when": when}})
    with pytest.raises(ConnectionResetError):
        api.call("POST", "experiments", {"display_name": "reset"})
    assert api.get("experiments")["total_size"] == made


def test_a_body_cut_short(api: Any) -> None:
    _set(api, {"operation": "ListExperiments", "count": 1, "effect": {"kind": "truncate", "share": 0.5}})
    with pytest.raises(http.client.IncompleteRead):
        api.call("GET", "experiments")
    assert api.get("experiments")["total_size"] == 1


def test_wrong_json(api: Any) -> None:
    _set(api, {"operation": "GetHealthz", "effect": {"kind": "garbage"}})
    reply = api.call("GET", "healthz")
    assert reply.status == 200
    with pytest.raises(ValueError, match=r"delimiter|Expecting"):
        json.loads(reply.body)


def test_a_stall_sends_half_and_then_nothing(api: Any) -> None:
    _set(api, {"operation": "ListExperiments", "effect": {"kind": "stall"}})
    parts = urlsplit(api.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=0.2) as connection:
        connection.sendall(f"GET {V2}/experiments HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        data = _read_until_silence(connection)
    assert data.startswith(b"HTTP/1.1 200")
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert 0 < len(body) < length


def _read_until_silence(connection: Any) -> Any:
    data = b""
    try:
        while part := connection.recv(4096):
            data += part
    except TimeoutError:
        return data
    raise AssertionError("the connection was closed")


def test_latency_is_served_and_counted(api: Any) -> None:
    effect = {"kind": "latency", "delay": {"distribution": "uniform", "seconds": 0.001, "spread": 0.002}}
    _set(api, {"operation": "Get*", "effect": effect}, {"effect": effect | {"when": "after"}, "count": 1})
    api.get("healthz")
    api.get("experiments")
    listed = api.get("/emulator/v1/faults")
    assert [rule["hit"] for rule in listed["faults"]] == [1, 1]
    assert listed["injected"] == {"latency": 2}


def test_rules_come_and_go(api: Any) -> None:
    ids = _set(api, *[{"operation": "GetHealthz", "effect": {"kind": "status", "status": 500}}] * 2)
    assert api.call("GET", "healthz").status == 500
    assert api.delete(f"/emulator/v1/faults/{ids[0]}") == {"removed": 1}
    assert api.call("DELETE", f"/emulator/v1/faults/{ids[0]}").status == 404
    assert api.delete("/emulator/v1/faults") == {"removed": 1}
    assert api.call("GET", "healthz").status == 200
    assert api.get("/emulator/v1/server")["faults_injected"]["status"] == 2


def test_the_control_api_is_never_disturbed(api: Any) -> None:
    _set(api, {"effect": {"kind": "status", "status": 500}})
    assert api.call("GET", "experiments").status == 500
    assert api.call("GET", "/emulator/v1/faults").status == 200
    assert api.call("GET", "/metrics").status == 200


def test_a_restart_keeps_the_database_and_refuses_meanwhile(api: Any) -> None:
    api.post("experiments", {"display_name": "kept"})
    run = api.run("kept")["run_id"]
    _restarted(api, {"outage_seconds": 0.05})
    assert api.get("experiments")["total_size"] == 2
    assert api.wait(run)["state"] == "SUCCEEDED"
    assert api.get("/emulator/v1/server")["requests"]["ListExperiments"]["started"] == 1  # counters restart


def test_a_restart_can_lose_everything(api: Any) -> None:
    api.post("experiments", {"display_name": "lost"})
    api.run("lost")
    _restarted(api, {"outage_seconds": 0.05, "forget": True})
    assert api.get("experiments")["total_size"] == 1
    assert api.get("runs") == {}
    assert api.wait(api.run("new")["run_id"])["state"] == "SUCCEEDED"


def _restarted(api: Any, request: Any) -> None:
    """Restart, and follow the connection that it breaks until the server is there again."""
    parts = urlsplit(api.url)
    follower = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    follower.request("GET", "/emulator/v1/truth?follow=true&since=1000000")
    response = follower.getresponse()
    api.post("/emulator/v1/restart", request)
    with contextlib.suppress(ConnectionResetError, http.client.IncompleteRead):
        while response.readline():
            pass
    follower.close()
    for _ in range(100_000):
        try:
            api.get("healthz")
        except ConnectionError:
            continue
        return
    raise AssertionError("the server did not come back")


def test_a_restart_as_a_fault(api: Any) -> None:
    rule = {"operation": "GetHealthz", "count": 1, "effect": {"kind": "restart", "outage_seconds": 0.02}}
    _set(api, rule)
    with pytest.raises(ConnectionError):
        api.call("GET", "healthz")


def test_failed_pods_stuck_runs_and_slow_reports(start: Any) -> None:
    api = start("fast")
    _set(
        api,
        {"run": "bad-*", "effect": {"kind": "failed_pods", "task": "say"}},
        {"run": "stuck-*", "effect": {"kind": "stuck_runs"}},
        {"run": "slow-*", "effect": {"kind": "slow_reports", "delay": {"seconds": 3600}}},
    )
    good, bad, stuck, slow = (api.run(name)["run_id"] for name in ("good-1", "bad-1", "stuck-1", "slow-1"))
    assert api.wait(good)["state"] == "SUCCEEDED"
    assert api.wait(bad)["state"] == "FAILED"
    assert api.get(f"runs/{slow}")["state"] == "PENDING"
    assert api.get(f"runs/{stuck}")["state"] in {"PENDING", "RUNNING"}
    assert set(api.get("/emulator/v1/server")["faults_injected"]) == {
        "failed_pods",
        "stuck_runs",
        "slow_reports",
    }


def test_slow_reports_show_when_they_arrived(small: Any) -> None:
    manual = Manual()
    rules = [{"run": "slow", "effect": {"kind": "slow_reports", "delay": {"seconds": 60}}}]
    manual.backend.faults.add(read_rules(json.dumps(rules)), 0)
    began = manual.clock.now()
    run = manual.good("POST", "runs", {"display_name": "slow", "pipeline_spec": small})["run_id"]
    manual.clock.advance(59 * SECOND)
    assert manual.good("GET", f"runs/{run}")["state"] == "PENDING"
    manual.clock.advance(2 * SECOND)
    ended = manual.good("GET", f"runs/{run}")
    assert ended["state"] == "SUCCEEDED"
    updated = dt.datetime.fromisoformat(ended["state_history"][-1]["update_time"]).timestamp()
    assert updated >= began // SECOND + 60
    _, told = manual.backend.truth.read(0, 1000, run)
    visible = [event["at_us"] for event in told if event["what"] == "visible"]
    assert visible
    assert all(at >= began + 60 * SECOND for at in visible)


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        ("nonsense", "malformed"),
        ("{}", "Expected `array`"),
        ('[{"effect": {"kind": "explode"}}]', "$[0].effect.kind"),
        ('[{"effect": {"kind": "status"}}]', "status"),
        ('[{"effect": {"kind": "status", "status": 200}}]', "between 400 and 599 - at `$[0]`"),
        ('[{"effect": {"kind": "reset"}, "share": 2}]', "share must lie between 0 and 1"),
        ('[{"effect": {"kind": "reset"}, "shore": 1}]', "shore"),
        ('[{"effect": {"kind": "reset"}, "on_seconds": 1}]', "on_seconds needs period_seconds"),
    ],
)
def test_plans_that_are_refused_say_where(api: Any, plan: Any, text: Any) -> None:
    with pytest.raises(FaultError) as caught:
        read_rules(plan)
    assert text in str(caught.value)
    assert api.call("POST", "/emulator/v1/faults", plan).status == 400


def _hits(rule: Any, moments: Any) -> Any:
    plan = FaultPlan(seed=1)
    plan.add(read_rules(json.dumps([{"effect": {"kind": "reset"}, **rule}])), 0)
    return [bool(plan.for_request("GetRun", f"{V2}/runs/x", int(at * 1_000_000), "api")) for at in moments]


@pytest.mark.parametrize(
    ("rule", "hits"),
    [
        ({"skip": 2}, [0, 0, 1, 1, 1, 1]),
        ({"count": 2}, [1, 1, 0, 0, 0, 0]),
        ({"every": 3}, [1, 0, 0, 1, 0, 0]),
        ({"skip": 1, "every": 2, "count": 2}, [0, 1, 0, 1, 0, 0]),
        ({"from_seconds": 2, "until_seconds": 4}, [0, 0, 1, 1, 0, 0]),
        ({"period_seconds": 3, "on_seconds": 1}, [1, 0, 0, 1, 0, 0]),
        ({"operation": "Create*"}, [0] * 6),
        ({"path": "*/runs/*"}, [1] * 6),
        ({"share": 0}, [0] * 6),
    ],
)
def test_when_a_rule_applies(rule: Any, hits: Any) -> None:
    assert _hits(rule, range(6)) == [bool(hit) for hit in hits]


def test_chance_is_seeded_and_about_right() -> None:
    first, second = (_hits({"share": 0.3}, range(2000)) for _ in range(2))
    assert first == second
    assert 500 < sum(first) < 700


@pytest.mark.parametrize(
    ("delay", "low", "high"),
    [
        (Delay("constant", 2), 2, 2),
        (Delay("uniform", 1, 3), 1.9, 2.1),
        (Delay("exponential", 2), 1.8, 2.2),
        (Delay("normal", 2, 0.5), 1.9, 2.1),
        (Delay("lognormal", 2, 0.1), 1.9, 2.1),
        (Delay("exponential", 0), 0, 0),
    ],
)
def test_delays_have_their_mean(delay: Any, low: Any, high: Any) -> None:
    rng = random.Random(3)
    times = [delay.draw(rng) for _ in range(4000)]
    assert min(times) >= 0
    assert low <= sum(times) / len(times) <= high
