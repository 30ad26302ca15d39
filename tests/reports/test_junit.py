"""JUnit XML: its structure is checked against what both schemas of its consumers ask for."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from made_executions import write_study
from sample_results import Load, SampleTest

from kfp_perf.reports.junit import junit_of, junit_of_executions
from kfp_perf.reports.study_reports import FORMATS as STUDY_FORMATS
from kfp_perf.result.capacity import BoundRecord, CapacityRecord
from kfp_perf.result.study import Study, StudyRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kfp_perf.result.reader import TestResult

    Sample = Callable[[SampleTest], TestResult]

#: What both schemas have: for each element its attributes, each with a pattern, and its children in order; a tuple
#: is a choice of at most one.
STRUCTURE: dict[str, tuple[dict[str, str], list[str | tuple[str, ...]]]] = {
    "testsuites": ({}, ["testsuite"]),
    "testsuite": (
        {
            **dict.fromkeys(("name", "package", "hostname"), r"\S+( \S+)*"),
            **dict.fromkeys(("id", "tests", "failures", "errors", "skipped"), r"\d+"),
            "time": r"\d+\.\d{3}",
            "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d",
        },
        ["properties", "testcase", "system-out", "system-err"],
    ),
    "properties": ({}, ["property"]),
    "property": ({"name": r"\S+( \S+)*", "value": r"(?s).*"}, []),
    "testcase": (
        {**dict.fromkeys(("name", "classname"), r"\S+( \S+)*"), "time": r"\d+\.\d{3}"},
        [("skipped", "error", "failure")],
    ),
    "failure": ({"message": ".*", "type": r"\w+"}, []),
    "error": ({"message": ".*", "type": r"\w+"}, []),
    "skipped": ({"message": ".*"}, []),
    "system-out": ({}, []),
    "system-err": ({}, []),
}
ONCE = {"properties", "system-out", "system-err"}

SLOW = {
    "scenario": "steady",
    "metric": "run.duration.p95",
    "condition": "<  120s",
    "unit": "seconds",
    "bound": 120.0,
    "value": 152.1,
    "interval": [140.0, 160.0],
    "margin": -32.1,
    "count": 300,
    "passed": False,
    "judged": "not kept",
    "reason": "is 152 s, not <  120s",
}
CLEAN = {
    "scenario": None,
    "metric": "cleanup.left",
    "condition": "== 0",
    "unit": "count",
    "bound": 0.0,
    "value": 0,
    "margin": 0.0,
    "count": None,
    "passed": True,
    "judged": "kept",
    "reason": "",
    "default": True,
}
FEW = {**SLOW, "metric": "run.duration.p99", "judged": "not enough data", "reason": "has not enough data: 3"}


def problems(element: ET.Element) -> list[str]:
    """What the schemas refuse of an element and all below it."""
    attributes, content = STRUCTURE[element.tag]
    found = [f"{element.tag} lacks {name}" for name in attributes.keys() - element.attrib.keys()]
    found += [f"{element.tag} has {name}" for name in element.attrib.keys() - attributes.keys()]
    found += [
        f"{element.tag} {name}={value!r}"
        for name, value in element.attrib.items()
        if name in attributes and not re.fullmatch(attributes[name], value)
    ]
    tags = [child.tag for child in element]
    choices = [one for one in content if isinstance(one, tuple)]
    order = [tag for one in content for tag in (one if isinstance(one, tuple) else (one,))]
    found += [f"{element.tag} has a {tag}" for tag in tags if tag not in order]
    places = [order.index(tag) for tag in tags if tag in order]
    if not choices and places != sorted(places):
        found.append(f"{element.tag} has its children in another order: {tags}")
    if any(sum(tag in choice for tag in tags) > 1 for choice in choices):
        found.append(f"{element.tag} has several of a choice: {tags}")
    found += [
        f"{element.tag} has {tag} {tags.count(tag)} times"
        for tag in ONCE & set(order)
        if tags.count(tag) != 1
    ]
    return found + [problem for child in element if child.tag in STRUCTURE for problem in problems(child)]


def drawn(sample: Sample, **fields: Any) -> ET.Element:
    loads = (Load("steady", 20, 0.0, 60.0, 5.0), Load("burst", 10, 0.0, 60.0, 5.0))
    thresholds = fields.pop("thresholds", [SLOW, CLEAN])
    test = SampleTest(loads=loads, extra={"thresholds": thresholds, **fields.pop("extra", {})}, **fields)
    root = ET.fromstring(junit_of(sample(test).document))
    assert problems(root) == []
    counted = {suite.get("name"): suite for suite in root}
    for suite in counted.values():
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.get(attribute, "")) == len(suite.findall(f"testcase/{tag}"))
        assert int(suite.get("tests", "")) == len(suite.findall("testcase"))
    return root


def outcomes(root: ET.Element) -> dict[tuple[str, str], str]:
    """How each case ended, by its class and name."""
    return {
        (case.get("classname", ""), case.get("name", "")): next((child.tag for child in case), "passed")
        for case in root.iter("testcase")
    }


def test_a_case_for_each_scenario_and_each_threshold(sample: Sample) -> None:
    root = drawn(sample, exit_code=1, reasons=["run.duration.p95 is 152 s, not < 120s."])
    assert outcomes(root) == {
        ("nightly.steady", "steady"): "passed",
        ("nightly.steady", "run.duration.p95 < 120s"): "failure",
        ("nightly.burst", "burst"): "passed",
        ("nightly", "cleanup.left == 0"): "passed",
    }
    assert [suite.get("id") for suite in root] == ["0", "1", "2"]
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.get("message") == "run.duration.p95 is 152 s, not <  120s"
    assert "2 min 32 s" in (failure.text or "")
    assert "margin -32.1 s" in (failure.text or "")
    assert "from 300 values" in (failure.text or "")
    assert float(root[0].get("time", "")) >= 60.0


def test_the_text_of_a_failure_ends_with_its_place_in_the_scenario_file(sample: Sample) -> None:
    file = {"scenario_file": {"path": "perf/nightly.json", "text": "[]"}}
    root = drawn(sample, exit_code=1, thresholds=[{**SLOW, "line": 12}, CLEAN], extra=file)
    assert (root.findtext(".//failure") or "").splitlines()[-1] == "perf/nightly.json:12"


def test_an_invalid_test_is_an_error_and_judges_no_threshold(sample: Sample) -> None:
    root = drawn(sample, exit_code=5, reasons=["The event loop was late."])
    assert set(outcomes(root).values()) == {"error", "skipped"}
    assert [error.get("message") for error in root.iter("error")] == ["The event loop was late."] * 2
    (slow, _) = root.iter("skipped")
    assert "The event loop was late." in slow.get("message", "")
    assert "2 min 32 s" in (slow.text or ""), "what was measured is not lost"


def test_a_threshold_that_could_not_be_told_is_skipped_where_that_was_accepted(sample: Sample) -> None:
    against = {"executions": 2}
    told = {**SLOW, "condition": "<= baseline + 10%", "judged": "cannot be told", "baseline": against}
    accepted = {**told, "passed": True, "reason": "lies within the variation"}
    assert (
        outcomes(drawn(sample, exit_code=1, thresholds=[told]))[
            "nightly.steady", "run.duration.p95 <= baseline + 10%"
        ]
        == "failure"
    )
    root = drawn(sample, thresholds=[accepted])
    (skipped,) = root.iter("skipped")
    assert skipped.get("message") == "Accepted: run.duration.p95 lies within the variation"
    assert "bound <= baseline + 10% (2 min)" in (skipped.text or "")
    assert "run-to-run variation 2 min 20 s to 2 min 40 s" in (skipped.text or "")


def test_a_sliding_threshold_has_its_window(sample: Sample) -> None:
    sliding = {**SLOW, "condition": "< 120s over 5m", "window": [60.0, 360.0], "aborted": True}
    root = drawn(sample, exit_code=1, thresholds=[sliding])
    assert ("nightly.steady", "run.duration.p95 < 120s over 5m") in outcomes(root)
    failure = root.find(".//failure")
    assert failure is not None
    assert "worst window from 1:00 to 6:00 min" in (failure.text or "")
    assert "it ended the test" in (failure.text or "")


def test_an_interrupted_test_keeps_the_thresholds_that_failed_before(sample: Sample) -> None:
    root = drawn(sample, exit_code=4, reasons=["The test was stopped."], thresholds=[SLOW, CLEAN, FEW])
    found = outcomes(root)
    assert found["nightly.steady", "run.duration.p95 < 120s"] == "failure"
    assert found["nightly", "cleanup.left == 0"] == "skipped"
    assert found["nightly.steady", "run.duration.p99 < 120s"] == "skipped"
    assert found["nightly.burst", "burst"] == "error"


@pytest.mark.parametrize(("code", "tag"), [(1, "failure"), (3, "error"), (2, "error")])
def test_the_error_of_a_scenario_by_its_exit_code(sample: Sample, code: int, tag: str) -> None:
    result = sample(SampleTest(loads=(Load("steady", 5, 0.0, 60.0, 5.0),), exit_code=code))
    result.document["scenarios"][0] |= {"error": "GetRun failed (HTTP 503):\n  overloaded", "exit_code": code}
    result.document["thresholds"] = []
    root = ET.fromstring(junit_of(result.document))
    assert problems(root) == []
    assert outcomes(root) == {("nightly.steady", "steady"): tag}
    child = root.find(f".//{tag}")
    assert child is not None
    assert child.get("message") == "GetRun failed (HTTP 503):"
    assert (child.text or "").endswith("overloaded")


def test_a_verdict_that_no_case_shows_has_a_case_of_its_own(sample: Sample) -> None:
    root = drawn(sample, exit_code=1, reasons=["The test could not be observed."], thresholds=[CLEAN])
    assert outcomes(root)["nightly", "the whole test"] == "failure"


def test_what_xml_cannot_hold_is_written_as_text(sample: Sample) -> None:
    evil = "is \x1b[31m]]>\x00 \ud800 \uffff <b>&amp;\"' 😀, not < 120s"
    result = sample(SampleTest(loads=(Load("steady", 5, 0.0, 60.0, 5.0),), exit_code=1))
    result.document["thresholds"] = [{**SLOW, "reason": evil}]
    root = ET.fromstring(junit_of(result.document))
    assert problems(root) == []
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.get("message") == (
        "run.duration.p95 is #x1B[31m]]>#x00 #xD800 #xFFFF <b>&amp;\"' 😀, not < 120s"
    )


def test_what_stays_on_the_server_is_in_the_output_of_the_suite(sample: Sample) -> None:
    result = sample(SampleTest(loads=(Load("steady", 5, 0.0, 60.0, 5.0),)))
    result.document["scenarios"][0] |= {"leftovers": ["run kfp-perf-1"], "warnings": ["Short."]}
    root = ET.fromstring(junit_of(result.document))
    assert root[0].findtext("system-err") == "Short.\nleft: run kfp-perf-1"


def test_a_damaged_document_is_still_valid() -> None:
    root = ET.fromstring(junit_of({"name": "", "thresholds": [3, {"metric": None}], "scenarios": [{}]}))
    assert problems(root) == []
    assert "failure" in outcomes(root).values()


def test_the_check_of_the_structure_finds_what_the_schemas_refuse(sample: Sample) -> None:
    root = drawn(sample)
    root.set("name", "all")
    root[0].set("timestamp", "2026-01-01T00:00:00Z")
    root[0].append(root[0][0])
    assert problems(root) == [
        "testsuites has name",
        "testsuite timestamp='2026-01-01T00:00:00Z'",
        f"testsuite has its children in another order: {[child.tag for child in root[0]]}",
        "testsuite has properties 2 times",
    ]


def test_executions_of_a_study_have_names_of_their_own(sample: Sample) -> None:
    document = sample(SampleTest(loads=(Load("steady", 5, 0.0, 60.0, 5.0),))).document
    document["thresholds"] = []
    stopped = {"name": "nightly", "verdict": {"text": "stopped", "exit_code": 4, "reasons": ["Ctrl-C."]}}
    root = ET.fromstring(junit_of_executions([("01", document), ("02", document), ("study", stopped)]))
    assert problems(root) == []
    assert [suite.get("id") for suite in root] == ["0", "1", "2"]
    assert outcomes(root) == {
        ("nightly.01.steady", "steady"): "passed",
        ("nightly.02.steady", "steady"): "passed",
        ("nightly.study", "the whole test"): "error",
    }


@pytest.mark.parametrize(
    ("code", "bounds", "expected"),
    [
        (0, (), {"steady": "passed"}),
        (0, ((">= 60/min", True),), {"steady": "passed", "capacity.rate >= 60/min": "passed"}),
        (1, ((">= 200/min", False),), {"steady": "passed", "capacity.rate >= 200/min": "failure"}),
        (1, ((">= 96/min", None),), {"steady": "passed", "capacity.rate >= 96/min": "failure"}),
        (1, (), {"steady": "failure"}),
        (5, ((">= 60/min", True),), {"steady": "error", "capacity.rate >= 60/min": "skipped"}),
    ],
)
def test_a_search_for_the_capacity_is_a_case_and_each_bound_on_it(
    tmp_path: Path, code: int, bounds: tuple[tuple[str, bool | None], ...], expected: dict[str, str]
) -> None:
    found = CapacityRecord(
        scenario="steady",
        operation="run",
        closed=False,
        precision=0.1,
        first_rate=0.5,
        highest_rate=None,
        status="found",
        rate=1.6,
        low=1.5,
        high=1.7,
        bounds=tuple(BoundRecord("capacity.rate", text, 1.6, passed) for text, passed in bounds),
    )
    answer = msgspec.to_builtins(found)
    record = StudyRecord(kind="capacity", name="nightly", started="", exit_code=code, answer=answer)
    study = Study(tmp_path, record)
    root = ET.fromstring(STUDY_FORMATS["junit"](study)["junit.xml"])
    assert problems(root) == []
    assert {name: outcome for (_, name), outcome in outcomes(root).items()} == expected
    text = STUDY_FORMATS["openmetrics"](study)["metrics.txt"].decode()
    assert ('kfp_perf_capacity_rate{test="nightly",scenario="steady"} 1.6' in text) == bool(bounds)


def test_a_search_without_a_plateau_is_an_error(tmp_path: Path) -> None:
    record = StudyRecord(
        kind="capacity", name="nightly", started="", exit_code=3, ended="The target is away."
    )
    root = ET.fromstring(STUDY_FORMATS["junit"](Study(tmp_path, record))["junit.xml"])
    assert problems(root) == []
    (error,) = root.iter("error")
    assert error.get("message") == "The target is away."


@pytest.mark.parametrize(
    ("values", "outcome", "message"),
    [
        ({"finished": "", "exit_code": None}, "error", "The study did not reach its end"),
        (
            {
                "exit_code": 1,
                "answer": {
                    "thresholds": [{"metric": "run.visible.mean", "reason": "is 2 s", "passed": False}]
                },
            },
            "failure",
            "run.visible.mean is 2 s",
        ),
    ],
)
def test_a_study_that_did_not_pass_is_a_case_where_its_executions_did(
    tmp_path: Path, values: dict[str, Any], outcome: str, message: str
) -> None:
    """One that was killed must not look as if it had passed."""
    file = write_study(tmp_path, [1.0, 1.1]) / "study.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
    root = ET.fromstring(STUDY_FORMATS["junit"](Study.open(tmp_path))["junit.xml"])
    assert problems(root) == []
    (found,) = root.iter(outcome)
    assert str(found.get("message")).startswith(message)
