"""Scenario files as pytest collects them: a file is a collector, and each scenario in it is a test.

The first of its tests runs the whole file, since scenarios that overlap are one load; all of them report from its
result.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from kfp_perf.config import TestConfig
from kfp_perf.engine import load_plugins
from kfp_perf.errors import InputError
from kfp_perf.metrics import METRICS
from kfp_perf.metrics.registry import Registry
from kfp_perf.plan import make_plan
from kfp_perf.pytest_plugin import MARKER, SHARED_FOLDER
from kfp_perf.pytest_plugin.failures import PROPERTY, failure_text, verdict_of
from kfp_perf.pytest_plugin.once import run_file, run_once
from kfp_perf.reports.cases import WHOLE_TEST, CaseOutcome, cases_of
from kfp_perf.result.reader import TestResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.pytest_plugin.once import FileOutcome
    from kfp_perf.reports.cases import CaseResult

#: Texts one of which every scenario file has; others are not even parsed.
_WORDS = (b'"mode"', b'"scenarios"')


def holds_scenarios(path: Path) -> bool:
    """Whether a JSON file in a folder is to be collected: a list with a scenario, or an object with `scenarios`.

    Results have `scenarios` too, and a `schema_version`. A file that is no JSON and has such a word is collected,
    so that its error is reported.
    """
    try:
        data = path.read_bytes()
    except OSError:
        return False
    if not any(word in data for word in _WORDS):
        return False
    try:
        document = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return True
    if isinstance(document, dict):
        return "scenarios" in document and "schema_version" not in document
    return isinstance(document, list) and any(isinstance(one, dict) and "mode" in one for one in document)


class CollectedFile(pytest.File):
    """A scenario file; its plan is made when it is collected, so what is wrong is an error of the collection."""

    _outcome: FileOutcome | None = None

    def collect(self) -> Iterator[pytest.Item]:
        """Yield a test for each scenario, and one for the thresholds of the whole test."""
        try:
            plugins = load_plugins(self._plugins)
            plan = make_plan(
                self.path,
                TestConfig.from_environment(),
                extra_modes=plugins.runners,
                registry=Registry({**METRICS, **plugins.collectors}),
            )
        except InputError as error:
            raise self.CollectError(str(error)) from None
        for scenario in plan.scenarios:
            yield ScenarioItem.from_parent(self, name=scenario.name, scenario=scenario.name)
        yield ScenarioItem.from_parent(self, name=WHOLE_TEST, scenario=None)

    def result(self) -> TestResult:
        """Return the result of the file, which runs if it has not been. Fails the test that asks, without one."""
        if self._outcome is None:
            shared = getattr(self.config, "workerinput", {}).get(SHARED_FOLDER)
            emulator = self.config.getoption("kfp_perf_emulator")
            self._outcome = run_once(
                self.path,
                lambda: run_file(self.path, emulator, self._plugins),
                None if shared is None else Path(shared),
            )
        outcome = self._outcome
        if outcome.interrupted:
            pytest.exit(f"{self.path.name} was stopped before its end; its result is in {outcome.folder}", 2)
        if outcome.error:
            pytest.fail(outcome.error, pytrace=False)
        return TestResult.open(outcome.folder)

    @property
    def _plugins(self) -> tuple[str, ...]:
        return tuple(self.config.getoption("kfp_perf_plugin"))


class ScenarioItem(pytest.Item):
    """One scenario of a file, or the whole test (None)."""

    def __init__(self, *, scenario: str | None, **rest: Any) -> None:
        super().__init__(**rest)
        self._scenario = scenario
        self.add_marker(MARKER)
        plugins = self.config.pluginmanager
        if plugins.hasplugin("xdist"):
            # With `--dist loadgroup`, a file's tests go to one worker.
            self.add_marker(pytest.mark.xdist_group(str(self.path)))
        if plugins.hasplugin("timeout"):
            # Its default is for functions; a scenario takes the time that its file gives it.
            self.add_marker(pytest.mark.timeout(0))

    def setup(self) -> None:
        """Run the file, unless it was. What could not be judged is an error here, where pytest reports errors."""
        file = self.parent
        if not isinstance(file, CollectedFile):
            raise TypeError("it is made by a CollectedFile alone")
        self._result = file.result()
        self.user_properties.append((PROPERTY, verdict_of(self._result)))
        cases = self._cases()
        for judged in self._result.document.get("thresholds") or ():
            if judged.get("scenario") == self._scenario:
                self.user_properties.append((judged["metric"], judged["value"]))
        if any(case.outcome is CaseOutcome.ERROR for case in cases):
            pytest.fail(failure_text(cases, self._result), pytrace=False)
        if cases and all(case.outcome is CaseOutcome.SKIPPED for case in cases):
            pytest.skip(cases[0].message)

    def runtest(self) -> None:
        """Fail with each threshold that was not kept."""
        cases = self._cases()
        if any(case.outcome is CaseOutcome.FAILED for case in cases):
            pytest.fail(failure_text(cases, self._result), pytrace=False)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it is from, and what it is called in a report."""
        return self.path, None, f"{self.path.name}: {self.name}"

    def _cases(self) -> list[CaseResult]:
        return [case for case in cases_of(self._result.document) if case.scenario == self._scenario]
