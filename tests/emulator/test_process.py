"""The emulator as other programs' tests use it; the example of docs/emulator.md is one of them."""

from __future__ import annotations

import ast
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kfp_emulator.process import Emulator, EmulatorFailed, running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running("--profile", "instant", "--seed", "1") as started:
        yield started


def _create_run(emulator: Emulator, spec: Any) -> str:
    body = json.dumps({"display_name": "r", "pipeline_spec": spec}).encode()
    with urllib.request.urlopen(f"{emulator.url}/apis/v2beta1/runs", body) as answer:
        run_id: str = json.load(answer)["run_id"]
        return run_id


def test_truth_and_outcomes(emulator: Emulator, small: Any) -> None:
    emulator.set_outcomes([{"task": "say", "failures": -1}])
    run_id = _create_run(emulator, small)
    while "run_finished" not in (whats := [event["what"] for event in emulator.truth(run_id)]):
        pass
    assert whats[:2] == ["queued", "created"]
    emulator.clear_outcomes()
    assert {event["run_id"] for event in emulator.truth()} >= {run_id}
    assert emulator.server()["requests"]["CreateRun"]["handled"] == {"OK": 1}


def test_faults(emulator: Emulator, small: Any) -> None:
    numbers = emulator.add_faults(
        [{"operation": "CreateRun", "count": 1, "effect": {"kind": "status", "status": 503}}]
    )
    assert numbers == [1]
    with pytest.raises(urllib.error.HTTPError, match="503") as caught:
        _create_run(emulator, small)
    caught.value.close()
    emulator.remove_faults()
    assert emulator.server()["faults_injected"] == {"status": 1}
    with pytest.raises(urllib.error.HTTPError, match="400") as refused:
        emulator.add_faults([{"effect": {"kind": "nonsense"}}])
    refused.value.close()


def test_a_restart_may_lose_everything() -> None:
    with running("--profile", "instant", "--prefill", "runs=3") as own:
        assert own.server()["runs"] == 3
        own.restart(outage_seconds=0, forget=True)
        for _ in range(1000):
            try:
                if own.server()["runs"] == 0:
                    break
            except OSError:
                continue
        else:
            pytest.fail("it has not forgotten")


def test_options_that_cannot_be_used() -> None:
    with pytest.raises(EmulatorFailed, match="there is no profile 'none'"), running("--profile", "none"):
        pass


def test_the_example_of_the_docs_is_python() -> None:
    text = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text("utf-8")
    example = text.split("## Test your own KFP code")[1].split("```python")[1].split("```")[0]
    names = {node.id for node in ast.walk(ast.parse(example)) if isinstance(node, ast.Name)}
    assert {"running", "emulator"} <= names
    called = {node.attr for node in ast.walk(ast.parse(example)) if isinstance(node, ast.Attribute)}
    assert {"set_outcomes", "add_faults", "truth"} <= called
    assert called & set(dir(Emulator)) >= {"set_outcomes", "add_faults", "truth", "url"}


def test_components_pods_and_the_kubernetes_api(emulator: Emulator, small: Any) -> None:
    run_id = _create_run(emulator, small)
    while len(pods := emulator.pods(run_id)) < 3 or not all("ended_us" in pod for pod in pods):
        pass
    assert [pod["kind"] for pod in pods] == ["driver", "driver", "executor"]
    emulator.restart_component("mysql", reason="OOMKilled", outage_seconds=0)
    while not (mysql := {each["name"]: each for each in emulator.components()}["mysql"])["up"]:
        pass
    assert (mysql["restarts"], mysql["last_reason"]) == (1, "OOMKilled")
    url = f"{emulator.kubernetes_url}/api/v1/pods?resourceVersionMatch=Exact&resourceVersion="
    version = _list(emulator.kubernetes_url)["metadata"]["resourceVersion"]
    with urllib.request.urlopen(url + version) as answer:
        assert json.load(answer)["items"]
    emulator.restart_component("mysql", outage_seconds=0)
    emulator.compact()
    with pytest.raises(urllib.error.HTTPError, match="410"):
        urllib.request.urlopen(url + version)
    emulator.deny([{"resource": "pods", "verb": "list"}])
    with pytest.raises(urllib.error.HTTPError, match="403"):
        _list(emulator.kubernetes_url)
    emulator.deny([])
    assert _list(emulator.kubernetes_url)["items"]


def _list(url: str) -> Any:
    with urllib.request.urlopen(f"{url}/api/v1/pods") as answer:
        return json.load(answer)
