"""What is written of a cluster: lines for the pods of runs, the states of components' pods, and what these use.

Times of pods are whole seconds of the cluster's clock, with fractions cut off: a time t stands for any in
[t, t + 1). A difference of two is off by less than a second. Those of the looks (`at`) are on the test's clock.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

CLUSTER_FILE = "cluster.jsonl"
PODS_FILE = "pods.jsonl"
COMPONENTS_FILE = "components.jsonl"
USAGE_FILE = "usage.jsonl"


class ClusterRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The cluster that was read; the first line of `cluster.jsonl`.

    `named`: the settings name it; otherwise it is what the kubeconfig has as current context, or the pod's own.
    """

    at: float
    title: str
    version: str = ""
    named: bool = False


class PodTimes(NamedTuple):
    """When a pod got a node, its init containers had ended, and so on; a list of five in a line.

    In whole seconds since its creation, None where that has not happened. `started` and `finished` are of the
    container that does the work (`main`), `ended` is when the last container had.
    """

    scheduled: int | None = None
    initialized: int | None = None
    started: int | None = None
    finished: int | None = None
    ended: int | None = None


#: Of most pods. A line leaves out what is this very object, an equal one is written.
SUCCEEDED = "Succeeded"
NO_PULL_SECONDS = 0.0


class PodRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One pod of a run; a line of `pods.jsonl`, written when it is over, has gone, or the test ends.

    `created` is in seconds since the Unix epoch, `times` are in seconds since then. `role` is `driver`, `executor`
    or `other`. `exit_code` is how the container that does the work (`main`) ended. `pulls` is how many images its
    node had to pull, None where no event shows it, and `pull_seconds` how long that took. `pulling`: a pull had not
    ended. `unschedulable` is why it had no node at first, `reason` why it failed. `over`: it was seen to end;
    `deleted`: it was deleted before.
    """

    run_id: str
    pod: str
    role: str = "other"
    node: str = ""
    phase: str = SUCCEEDED
    reason: str = ""
    message: str = ""
    created: int = 0
    times: PodTimes = PodTimes()
    restarts: int = 0
    oom_killed: bool = False
    exit_code: int | None = 0
    pulls: int | None = 0
    pull_seconds: float = NO_PULL_SECONDS
    pulling: bool = False
    unschedulable: str = ""
    over: bool = True
    deleted: bool = False


class ContainerRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A container of a component's pod: its requests and limits (cores, bytes), and how often it was started again.

    `oom_kills` counts the ends for the use of memory that were seen; `last_exit` is the exit code of the last end.
    """

    name: str
    restarts: int = 0
    oom_kills: int = 0
    last_exit: int | None = None
    cpu_request: float | None = None
    cpu_limit: float | None = None
    memory_request: float | None = None
    memory_limit: float | None = None


class ComponentRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of one pod of a component of KFP when it was first seen, and whenever its containers changed.

    `at` is when that was seen. `modelled`: an emulator made it up. `gone`: the pod has been deleted.
    """

    at: float
    component: str
    pod: str
    uid: str = ""
    node: str = ""
    created: int = 0
    ready: bool = False
    gone: bool = False
    modelled: bool = False
    containers: list[ContainerRecord] = []


class UsageRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the pods of the components used in one window of `metrics.k8s.io`.

    `cores` and `bytes` have an entry for each pod, which has one for each container.
    """

    at: float
    cores: dict[str, dict[str, float]] = {}
    bytes: dict[str, dict[str, float]] = {}


cluster_decoder = msgspec.json.Decoder(ClusterRecord)
pod_decoder = msgspec.json.Decoder(PodRecord)
component_decoder = msgspec.json.Decoder(ComponentRecord)
usage_decoder = msgspec.json.Decoder(UsageRecord)
