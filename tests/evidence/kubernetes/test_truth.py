"""Pods as they were followed, compared with what really happened on the modelled cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from watched_pods import WatchedPods, errors_of

from kfp_emulator.kubernetes.run_pods import RunPods
from kfp_emulator.server.faults import read_rules

if TYPE_CHECKING:
    from pathlib import Path

    from kfp_emulator.kubernetes.run_pod import RunPod

RUNS = 30
FAULTS: dict[str, list[dict[str, Any]]] = {
    "quiet": [],
    "every watch is cut after a second": [
        {"target": "kubernetes", "effect": {"kind": "cut_watch", "seconds": 1.0, "reset": True}}
    ],
    "the history of every watch is lost after 20 s": [
        {"target": "kubernetes", "effect": {"kind": "expire_watch", "seconds": 20.0}}
    ],
}


@pytest.fixture
def true_pods(monkeypatch: pytest.MonkeyPatch) -> dict[str, RunPod]:
    """The emulator's pods by name, with their true times."""
    found: dict[str, RunPod] = {}
    created = RunPods.created

    def keep(self: RunPods, pod: Any, request: Any) -> None:
        created(self, pod, request)
        found[pod.seen.name] = pod.seen

    monkeypatch.setattr(RunPods, "created", keep)
    return found


@pytest.mark.parametrize("faults", FAULTS)
def test_every_pod_is_there_once_and_its_stages_are_within_their_bounds(
    tmp_path: Path, true_pods: dict[str, RunPod], faults: str
) -> None:
    watched = WatchedPods(tmp_path, RUNS, faults=tuple(read_rules(json.dumps(FAULTS[faults]))))
    found = watched.records_of_pods
    assert len(true_pods) == 3 * RUNS, "two drivers and an executor each"
    assert set(found) == set(true_pods)
    assert {len(lines) for lines in found.values()} == {1}
    assert all(lines[0].over for lines in found.values())
    for name, (record,) in found.items():
        for stage, error in errors_of(record, true_pods[name]).items():
            assert abs(error) < (0.01 if stage == "pull" else 1.0), (name, stage, error)
    assert {record.run_id for (record,) in found.values()} == {run.run_id for run in watched.records}
    assert watched.sink is not None
    assert [state.missing for state in watched.sink.states] == [""] * 5
