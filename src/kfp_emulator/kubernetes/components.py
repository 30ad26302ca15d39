"""The components of the KFP installation: restarts, and the CPU and memory of their model.

Nothing runs in them. CPU and memory follow a stated formula (`Consumption`) of the requests, reports, pods and
looks that the emulator has handled, so objects that show them carry the annotation MODELLED.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_emulator.kubernetes.component_documents import (
    Ending,
    Life,
    Site,
    Work,
    component_deployment,
    component_pod,
    identity_of_pod,
    image_of,
    pod_name,
)
from kfp_emulator.kubernetes.component_table import components_of
from kfp_emulator.kubernetes.occurrences import Occurrence
from kfp_emulator.kubernetes.stated import Stated

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_emulator.clock import Clock
    from kfp_emulator.kubernetes.journal import Journal

NODE = "node-0"
"""The node that all of them are on."""


class Components:
    """The components of one installation.

    Args:
        journal: receives their changes.
        clock: says when something happens.
        site: where they are.
        work: what was handled so far.

    """

    def __init__(self, journal: Journal, clock: Clock, site: Site, work: Callable[[], Work]) -> None:
        self._journal = journal
        self._clock = clock
        self._site = site
        self._work = work
        self._lives: dict[str, Life] = {}
        now = clock.now()
        for component in components_of(site.version):
            pod = Stated("pods", site.namespace, pod_name(site, component))
            deployment = Stated("deployments", site.namespace, component.name)
            life = self._lives[component.name] = Life(component, pod, deployment, now, now)
            self._state(life, {})

    def names(self) -> tuple[str, ...]:
        """Return the names of all components."""
        return tuple(self._lives)

    def life(self, name: str) -> Life:
        """Return a component's life.

        Raises:
            KeyError: there is no such component.

        """
        return self._lives[name]

    def of_pod(self, pod: Stated) -> Life | None:
        """Return the component whose pod this is."""
        return next((life for life in self._lives.values() if life.pod is pod), None)

    def went_down(self, name: str, reason: str = "Error", code: int = 1) -> None:
        """End a component's container; it is down until it comes up."""
        life = self._lives[name]
        if life.since is None:
            return
        life.last = Ending(reason, code, life.since, self._clock.now())
        life.since = None
        where = f"{life.pod.name}_{self._site.namespace}({identity_of_pod(self._site, life)})"
        text = f"Back-off restarting failed container {life.component.container} in pod {where}"
        self._state(life, {"BackOff": text})

    def came_up(self, name: str) -> None:
        """Start the container of a component that is down."""
        life = self._lives[name]
        if life.since is not None:
            return
        life.since = self._clock.now()
        life.restarts += 1
        life.counted = self._work()
        container, image = life.component.container, image_of(self._site, life.component)
        self._state(
            life,
            {
                "Pulled": f'Container image "{image}" already present on machine',
                "Created": f"Created container {container}",
                "Started": f"Started container {container}",
            },
        )

    def cpu_seconds(self, life: Life) -> float:
        """Return the CPU time that a component's process is modelled to have taken since its start."""
        if life.since is None:
            return 0.0
        rate, work, before = life.component.consumption, self._work(), life.counted
        return (
            rate.idle * (self._clock.now() - life.since) / 1e6
            + rate.request * (work.requests - before.requests)
            + rate.report * (work.reports - before.reports)
            + rate.pod * (work.pods - before.pods)
            + rate.look * (work.looks - before.looks)
        )

    def memory_bytes(self, life: Life) -> int:
        """Return the memory that a component is modelled to take now."""
        if life.since is None:
            return 0
        rate = life.component.consumption
        return rate.memory + rate.workflow_bytes * self._work().in_flight

    def _state(self, life: Life, events: dict[str, str]) -> None:
        """Write a change of a component into the journal, with the kubelet's events: reason and text."""
        now = self._clock.now()
        path = f"spec.containers{{{life.component.container}}}"
        kind = "Warning" if life.since is None else "Normal"
        occurrences = [
            Occurrence(reason, text, "kubelet", now, NODE, path, kind) for reason, text in events.items()
        ]
        life.pod.state(self._journal, component_pod(self._site, life, now), occurrences)
        life.deployment.state(self._journal, component_deployment(self._site, life, now))
