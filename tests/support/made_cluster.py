"""Made evidence of a cluster: the files that the collector writes of pods and components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf.evidence.kubernetes.records import (
    CLUSTER_FILE,
    COMPONENTS_FILE,
    PODS_FILE,
    USAGE_FILE,
    ClusterRecord,
    ComponentRecord,
    ContainerRecord,
    PodRecord,
    PodTimes,
    UsageRecord,
)
from kfp_perf.result.evidence import EVIDENCE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

MIB = 2**20
COMPONENT = "ml-pipeline"


def pod_record(run_id: str, at: float, *, role: str = "driver", **fields: Any) -> PodRecord:
    """A pod that was created at a time: 2 s to its node, 3 s of pull, 4 s of start, 5 s of work, 1 s after that."""
    created = int(at)
    usual = PodTimes(scheduled=2, initialized=8, started=9, finished=14, ended=15)
    times = usual._replace(**{name: fields.pop(name) for name in PodTimes._fields if name in fields})
    given = {"node": "node-1", "pulls": 1, "pull_seconds": 3.0, "created": created, **fields}
    return PodRecord(run_id=run_id, pod=f"{run_id}-{role}-{created}", role=role, times=times, **given)


def component_record(at: float, restarts: int = 0, **fields: Any) -> ComponentRecord:
    """A state of the API server's pod, of 1 core and 1 GiB."""
    container = ContainerRecord(
        name="server",
        restarts=restarts,
        oom_kills=fields.pop("oom_kills", 0),
        cpu_request=0.25,
        cpu_limit=1.0,
        memory_request=512.0 * MIB,
        memory_limit=1024.0 * MIB,
    )
    given = {"component": COMPONENT, "pod": "ml-pipeline-1", "uid": "u-1", **fields}
    return ComponentRecord(at=at, ready=True, containers=[container], **given)


def usage_of(at: float, cores: float, mebibytes: float, pod: str = "ml-pipeline-1") -> UsageRecord:
    """What the API server's pod used."""
    return UsageRecord(at=at, cores={pod: {"server": cores}}, bytes={pod: {"server": mebibytes * MIB}})


def write_lines(folder: Path, file: str, records: Iterable[msgspec.Struct]) -> None:
    """Append records to a file of the evidence; `folder` is the result's."""
    evidence = folder / EVIDENCE_FOLDER
    evidence.mkdir(exist_ok=True)
    with (evidence / file).open("ab") as lines:
        lines.writelines(msgspec.json.encode(record) + b"\n" for record in records)


def write_cluster(folder: Path, run_ids: Sequence[str], at: float, *, named: bool = True) -> None:
    """A driver and an executor for each run, and a component that used 1/4 of a core and 3/4 of its memory."""
    write_lines(
        folder, CLUSTER_FILE, [ClusterRecord(at=at, title="context kind (https://kind)", named=named)]
    )
    pods = [pod_record(one, at + place, role=role) for place, one in enumerate(run_ids) for role in ROLES]
    write_lines(folder, PODS_FILE, pods)
    write_lines(folder, COMPONENTS_FILE, [component_record(at)])
    write_lines(folder, USAGE_FILE, [usage_of(at + 15.0 * place, 0.25, 768.0) for place in range(4)])


ROLES = ("driver", "executor")
