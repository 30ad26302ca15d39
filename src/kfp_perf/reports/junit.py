"""The result as JUnit XML, which CI systems show as tests.

The document is valid by both schemas that consumers check: junit-10.xsd of Jenkins' xunit plug-in, and JUnit.xsd
of Apache Ant's format (windyroad/JUnit-Schema), which fixes the order of elements, asks for more attributes, and
allows none on `testsuites`.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

from kfp_perf.reports.cases import CaseOutcome, CaseResult, cases_of, details_of
from kfp_perf.reports.document import complete

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kfp_perf.result.reader import TestResult

#: Characters that XML 1.0 cannot hold, not even as references.
_ILLEGAL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: The child of a case by its outcome, and its `type`, which a skipped case has not got.
_CHILDREN = {
    CaseOutcome.FAILED: ("failure", {"type": "failed"}),
    CaseOutcome.ERROR: ("error", {"type": "error"}),
    CaseOutcome.SKIPPED: ("skipped", {}),
}
_UNKNOWN_TIME = "1970-01-01T00:00:00"


def draw_junit(result: TestResult) -> dict[str, bytes]:
    """A suite for each scenario and one for the whole test; a case for each scenario and each threshold."""
    return {"junit.xml": junit_of(result.document)}


def junit_of(document: dict[str, Any]) -> bytes:
    """The JUnit XML of a result document."""
    return junit_of_executions([("", document)])


def junit_of_executions(executions: Iterable[tuple[str, dict[str, Any]]]) -> bytes:
    """The JUnit XML of several results, each with a label that is in the names of its suites and classes."""
    root = ET.Element("testsuites")
    for label, document in executions:
        whole, _ = complete(document)
        by_scenario: dict[str | None, list[CaseResult]] = {str(one["name"]): [] for one in whole["scenarios"]}
        for case in cases_of(document):
            by_scenario.setdefault(case.scenario if case.scenario in by_scenario else None, []).append(case)
        for scenario, cases in by_scenario.items():
            root.append(_suite(label, scenario, cases, whole))
    for place, suite in enumerate(root):
        suite.set("id", str(place))
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _suite(
    label: str, scenario: str | None, cases: Sequence[CaseResult], document: Mapping[str, Any]
) -> ET.Element:
    test = str(document["name"])
    name = scenario or test
    # Jenkins takes what is before the last dot of a class for its package.
    classes = ".".join(part for part in (test, label, scenario) if part)
    times = {str(one["name"]): one["started"] for one in document["scenarios"]}
    counts = {outcome: sum(case.outcome is outcome for case in cases) for outcome in CaseOutcome}
    suite = _element(
        "testsuite",
        name=_token(f"{label}: {name}" if label else name),
        package=_token(test),
        timestamp=_timestamp(str(times.get(scenario or "") or document["started"] or "")),
        # The result does not say on which host it was made; Ant's format has this word for it.
        hostname="localhost",
        tests=str(len(cases)),
        failures=str(counts[CaseOutcome.FAILED]),
        errors=str(counts[CaseOutcome.ERROR]),
        skipped=str(counts[CaseOutcome.SKIPPED]),
        time=f"{sum(case.seconds for case in cases):.3f}",
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(document):
        properties.append(_element("property", name=name, value=value))
    for case in cases:
        suite.append(_case(case, classes, str(document["scenario_file"]["path"])))
    _text(suite, "system-out", _judgements(scenario, document))
    _text(suite, "system-err", _warnings(scenario, document))
    return suite


def _case(case: CaseResult, classname: str, file: str) -> ET.Element:
    element = _element(
        "testcase", classname=_token(classname), name=_token(case.name), time=f"{case.seconds:.3f}"
    )
    if case.outcome in _CHILDREN:
        name, attributes = _CHILDREN[case.outcome]
        child = _element(name, message=case.message, **attributes)
        # The schemas have no attributes for a place in a file.
        at = f"{file}:{case.line}" if file and case.line else ""
        child.text = _legal("\n".join(filter(None, (case.details, at))))
        element.append(child)
    return element


def _properties(document: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    target, verdict = document["target"], document["verdict"]
    values = {
        "kfp_perf.verdict": verdict["text"],
        "kfp_perf.exit_code": verdict["exit_code"],
        "kfp_perf.version": document["environment"].get("kfp_perf"),
        "target.name": target.get("name"),
        "target.url": target["url"],
        "target.version": target["version"],
        "target.emulator_profile": target["emulator_profile"],
    }
    return ((name, str(value)) for name, value in values.items() if value not in {None, ""})


def _judgements(scenario: str | None, document: Mapping[str, Any]) -> str:
    """A line for each threshold of a suite, also of those that were kept."""
    found = document.get("thresholds")
    return "\n".join(
        f"{'kept' if one.get('passed') else 'failed'}: {details_of(one)}"
        for one in (found if isinstance(found, list) else ())
        if isinstance(one, dict) and one.get("scenario") == scenario
    )


def _warnings(scenario: str | None, document: Mapping[str, Any]) -> str:
    if scenario is None:
        return "\n".join(map(str, document["warnings"]))
    return "\n".join(
        str(line)
        for one in document["scenarios"]
        if one["name"] == scenario
        for line in (*one["warnings"], *(f"left: {left}" for left in one["leftovers"]))
    )


def _element(tag: str, **attributes: str) -> ET.Element:
    return ET.Element(tag, {name: _legal(value) for name, value in attributes.items()})


def _text(parent: ET.Element, tag: str, text: str) -> None:
    ET.SubElement(parent, tag).text = _legal(text)


def _legal(text: str) -> str:
    """The text with what XML cannot hold written as `#x1B`, as pytest writes it."""
    return _ILLEGAL.sub(lambda found: f"#x{ord(found[0]):02X}", text)


def _token(text: str) -> str:
    """The text as an XML token: without line breaks and double spaces, and not empty."""
    return " ".join(text.split()) or "unnamed"


def _timestamp(text: str) -> str:
    """A time of the result, in UTC, as Ant's format has it: whole seconds without a zone."""
    found = re.match(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}", text)
    return found[0] if found else _UNKNOWN_TIME
