from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from browser import open_browser
from sample_results import Load, SampleTest, make_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kfp_perf.result.reader import TestResult

EVIL = '<script>document.title = "owned"</script>'


@pytest.fixture(scope="session")
def nightly(tmp_path_factory: pytest.TempPathFactory) -> TestResult:
    """A test with everything: failures, censored and cached runs, errors, thresholds, objects left, evil names."""
    loads = (
        Load("steady", 300, 0.0, 1800.0, 45.0, failed=0.05, errors=(f"task {EVIL} exited with code 137",)),
        Load("long tail", 60, 600.0, 900.0, 240.0, mode="EXPERIMENT", unfinished=0.2, cached=0.1),
    )
    thresholds = [
        {
            "scenario": None,
            "metric": "run.duration.p95",
            "condition": "< 120s",
            "unit": "seconds",
            "bound": 120.0,
            "value": 152.1,
            "margin": -32.1,
            "count": 300,
            "passed": False,
            "reason": "is 152 s, not < 120s",
        }
    ]
    resource = {
        "unit": "share",
        "limit": 0.9,
        "mean": 0.2,
        "worst": 0.95,
        "seconds": 1800.0,
        "seconds_beyond": 2.0,
    }
    extra = {
        "thresholds": thresholds,
        "leftovers": [f"run {EVIL}: 500"],
        "generator": {"exceeded": [], "process": {"process_cpu": resource}, "scenarios": {}},
        "health": {"api": {"asked": 360, "failed": 2}, "stalls": []},
    }
    test = SampleTest(
        f"nightly {EVIL}",
        loads,
        exit_code=1,
        reasons=["run.duration.p95 is 152 s"],
        extra=extra,
        missing_endpoint=f"mysql {EVIL}",
    )
    return make_result(tmp_path_factory.mktemp("nightly"), test)


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> TestResult:
    """A test of which nothing came."""
    test = SampleTest("empty", (), exit_code=4, reasons=["The test was stopped before its end."])
    return make_result(tmp_path_factory.mktemp("empty"), test)


@pytest.fixture
def sample(tmp_path_factory: pytest.TempPathFactory) -> Callable[[SampleTest], TestResult]:
    """Make the result of a test."""
    return lambda test: make_result(tmp_path_factory.mktemp("sample"), test)


@pytest.fixture(scope="module")  # while playwright is open, asyncio.run() works in no other test
def browser() -> Iterator[Any]:
    yield from open_browser()
