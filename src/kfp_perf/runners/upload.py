"""PIPELINE_UPLOAD: pipelines and versions, each uploaded when it is due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.errors import ApiError, RunnerError
from kfp_perf.pipelines.generate import generate_pipeline
from kfp_perf.result.journal import ObjectKind
from kfp_perf.result.records import CallOutcome, Sample
from kfp_perf.runners.journaled import JournaledRunner
from kfp_perf.runners.reports import UploadReport

if TYPE_CHECKING:
    from kfp_perf.scenario.model import TestScenario

DEFAULT_SIZE_BYTES = 10_000


class UploadRunner(JournaledRunner):
    """Alternately uploads a new pipeline and another version of the newest one, and deletes them.

    Upload 0 is a pipeline, upload 1 a version, and so on. A version goes to the newest pipeline that the server
    has confirmed; while there is none, a pipeline is uploaded instead.
    """

    def __init__(self, test_scenario: TestScenario, **given: Any) -> None:
        super().__init__(test_scenario, **given)
        self.report = UploadReport()
        self._newest_pipeline_id = ""

    async def prepare(self) -> None:
        """Read or generate the pipeline to upload, and create the rows of `prefill`."""
        if self.scenario.pipeline_file_name is not None:
            self._content = self.pipeline().content(self.scenario.caching(self.config.CACHE_ENABLED))
        else:
            self._content = generate_pipeline(self.scenario.size or DEFAULT_SIZE_BYTES)
        self.report.size_bytes = len(self._content)
        await super().prepare()

    async def run(self) -> None:
        """Upload until `end_at`."""
        await self.drive_load(self.run_once, self.skip)
        if self.report.failed and not self.report.pipelines:
            raise RunnerError(
                f"Not one of {self.report.failed} uploads succeeded. "
                f"The last error: {self.progress.last_error}"
            )

    def reports(self) -> dict[str, Any]:
        """Add the uploads' report."""
        return super().reports() | {"uploads": self.report}

    async def run_once(self, index: int, due: float) -> bool:
        """Upload once. Return whether the server accepted it."""
        self.progress.in_flight += 1
        try:
            if self._is_version(index):
                await self._upload_version(f"{self.prefix}-{index}", due)
            else:
                await self._upload_pipeline(f"{self.prefix}-{index}", due)
        except ApiError as error:
            self.report.failed += 1
            self.progress.last_error = str(error)
            return False
        finally:
            self.progress.in_flight -= 1
        return True

    def skip(self, index: int, due: float) -> None:
        """Record an upload that was due and never started."""
        operation = "UploadPipelineVersion" if self._is_version(index) else "UploadPipeline"
        self.record_sample(Sample(operation, due, self.end_at, outcome=CallOutcome.NEVER_STARTED))

    def _is_version(self, index: int) -> bool:
        return bool(index % 2 and self._newest_pipeline_id)

    async def _upload_pipeline(self, name: str, due: float) -> None:
        with self.making(ObjectKind.PIPELINE, name) as made:
            pipeline = await self.client.upload_pipeline(
                self._content, name=name, namespace=self.namespace, due=due
            )
            made(pipeline.pipeline_id)
        self._newest_pipeline_id = pipeline.pipeline_id
        self.report.pipelines += 1

    async def _upload_version(self, name: str, due: float) -> None:
        # Not journaled: versions are deleted with their pipeline.
        await self.client.upload_pipeline_version(
            self._content, pipeline_id=self._newest_pipeline_id, name=name, due=due
        )
        self.report.versions += 1
