"""Pods of runs beside those that were recorded on a real KFP 2.17.0: the same fields, and the same constants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes_world import World

from kfp_emulator.cluster.timing import load_profile
from kfp_emulator.pipelines.ir import load_documents, parse_pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FOLDER = ROOT.parent / "shared" / "recordings" / "kubernetes"
FILES = sorted(FOLDER.glob("pods-*.json"))
OWN = {".metadata.name", ".metadata.ownerReferences", ".spec.nodeName"}
"""Where values belong to the one run that was recorded; so do those in which one of IDS stands."""
IDS = (
    "runid",
    "WORKFLOW",
    "NODE_ID",
    "ARGO_TEMPLATE",
    "node-id",
    "node-name",
    "workflow",
    "Version",
    "uid",
    "Time",
)

pytestmark = pytest.mark.skipif(not FILES, reason="no recorded pods are beside this checkout")


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path of each leaf, with the names of the items of lists, and its value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{at}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            name = (inner.get("name") or inner.get("mountPath")) if isinstance(inner, dict) else None
            owner = at.endswith("ownerReferences")
            yield from leaves(inner, f"{at}[{number if owner or name is None else name}]")
    else:
        yield at, value


def by_node(pods: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    names = (pod["metadata"]["annotations"]["workflows.argoproj.io/node-name"] for pod in pods)
    return {name.partition(".")[2]: pod for name, pod in zip(names, pods, strict=True)}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_pods_are_as_they_were_recorded(file: Path) -> None:
    recorded = by_node(json.loads(file.read_text())["items"])
    name = file.stem.removeprefix("pods-").rpartition("-")[0]
    path = ROOT / "src" / "kfp_perf" / "catalog" / "pipelines" / f"{name}.yaml"
    world = World(load_profile("kfp-2.17"))
    world.submit(parse_pipeline(load_documents(path.read_bytes())))
    world.clock.run_until_idle()
    made = by_node(world.run_pods())
    both = set(recorded) & set(made)  # what comes from the cache here has no executor
    assert len(both) >= 3
    for node in both:
        pod = recorded[node]
        for part in ("metadata", "spec"):
            real = dict(leaves(pod[part], f".{part}"))
            ours = dict(leaves(made[node][part], f".{part}"))
            assert set(real) - set(ours) == set()
            assert {path for path in set(ours) - set(real) if "managedFields" not in path} == set()
            different = {
                path
                for path, value in real.items()
                if ours[path] != value and not any(word in path for word in (*OWN, *IDS))
            }
            assert {path for path in different if ".args[" not in path and ".command[" not in path} == set()
        assert {path for path, _ in leaves(pod["status"])} <= {
            path for path, _ in leaves(made[node]["status"])
        }
