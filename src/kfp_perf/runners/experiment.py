"""EXPERIMENT: the same as PIPELINE_RUN, in a new experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.result.journal import Kind
from kfp_perf.runners.pipeline import PipelineRunner

if TYPE_CHECKING:
    from kfp_perf.client import KfpClient


class ExperimentRunner(PipelineRunner):
    """Makes an experiment of a unique name, runs the pipeline in it, and deletes both."""

    async def provide_experiment(self, client: KfpClient) -> str:
        """Make the experiment, and return its id."""
        with self.making(Kind.EXPERIMENT, self.prefix) as made:
            experiment = await client.create_experiment(self.prefix, namespace=self.namespace)
            made(experiment.experiment_id)
        return experiment.experiment_id
