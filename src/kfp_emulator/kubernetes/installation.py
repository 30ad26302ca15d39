"""The installation as its Kubernetes API shows it: the journal, the components, the pods of runs, who may read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kfp_emulator.kubernetes.component_documents import Work
from kfp_emulator.kubernetes.components import Components
from kfp_emulator.kubernetes.controller_metrics import ControllerMetrics
from kfp_emulator.kubernetes.surroundings import state_namespace, state_nodes
from kfp_emulator.kubernetes.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_emulator.cluster.cluster import Cluster
    from kfp_emulator.cluster.schedules import ScheduleController
    from kfp_emulator.kubernetes.component_documents import Site
    from kfp_emulator.kubernetes.journal import Journal
    from kfp_emulator.kubernetes.permissions import Permissions
    from kfp_emulator.kubernetes.run_pods import RunPods
    from kfp_emulator.protocol.wire import OutwardTime


@dataclass(frozen=True, slots=True)
class Installation:
    """One installation."""

    journal: Journal
    time: OutwardTime
    components: Components
    pods: RunPods
    usage: Usage
    permissions: Permissions
    metrics: ControllerMetrics


def install(
    site: Site,
    cluster: Cluster,
    schedules: ScheduleController,
    journal: Journal,
    pods: RunPods,
    permissions: Permissions,
    requests: Callable[[], int],
) -> Installation:
    """Install KFP's components on a cluster; `requests` are those that the API server has handled so far."""
    counts = cluster.counts

    def work() -> Work:
        return Work(requests(), counts.reports, counts.pods, counts.looks, cluster.in_flight())

    for namespace in dict.fromkeys(("default", "kube-system", site.namespace)):
        state_namespace(journal, site.time, namespace)
    state_nodes(journal, site.time, cluster.profile.nodes)
    components = Components(journal, cluster.clock, site, work)
    return Installation(
        journal,
        site.time,
        components,
        pods,
        Usage(journal, components, site.time),
        permissions,
        ControllerMetrics(cluster, schedules, components, site.time),
    )
