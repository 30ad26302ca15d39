"""EXPERIMENT: the same as PIPELINE_RUN, in a new experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.runners.pipeline import PipelineRunner

if TYPE_CHECKING:
    from kfp_perf.client import KfpClient


class ExperimentRunner(PipelineRunner):
    """Creates an experiment of a unique name, runs the pipeline in it, and deletes both."""

    _creation: tuple[float, float, float] | None = None

    async def prepare(self) -> None:
        """Prepare as for PIPELINE_RUN, and bracket the server's clock by the experiment's creation."""
        await super().prepare()
        if self._creation is not None:
            self.observer.offset.bracket(*self._creation)

    async def provide_experiment(self, client: KfpClient) -> str:
        """Create the experiment, and return its id."""
        sent = self.clock.now()
        experiment = await self.create_experiment(client, self.prefix)
        if experiment.created_at is not None:
            self._creation = (experiment.created_at, sent, self.clock.now())
        return experiment.experiment_id
