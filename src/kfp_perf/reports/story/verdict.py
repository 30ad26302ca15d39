"""The verdict in a sentence, and what bears on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.errors import ExitCode
from kfp_perf.reports.document import ended_early
from kfp_perf.reports.keeping_up import keeping_up, went_badly
from kfp_perf.reports.operations import operations_of
from kfp_perf.reports.quantities import count_of, span_of
from kfp_perf.reports.story.blocks import Tone, VerdictBlock

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORDS = {
    ExitCode.GOOD: ("Passed", Tone.GOOD),
    ExitCode.FAILED: ("Failed", Tone.BAD),
    ExitCode.BAD_INPUT: ("Failed", Tone.BAD),
    ExitCode.TARGET: ("Failed", Tone.BAD),
    ExitCode.INTERRUPTED: ("Stopped", Tone.WARNING),
    ExitCode.INVALID: ("Invalid", Tone.WARNING),
}


def verdict_of(document: Mapping[str, Any], missing: list[str]) -> VerdictBlock:
    """The verdict of a document that is complete; `missing` is what had to be filled in."""
    code = document["verdict"]["exit_code"]
    word, tone = _WORDS.get(code, ("Unknown", Tone.WARNING))
    if tone is Tone.GOOD and went_badly(document):
        tone = Tone.WARNING
    reasons = [str(reason) for reason in document["verdict"]["reasons"]]
    sentence = _sentence(code, document, reasons)
    # The first reason stands in the sentence already.
    return VerdictBlock(
        word,
        sentence,
        tone,
        [*_details(code, reasons), *reasons[1:], *_behind(document)],
        list(_caveats(document, missing)),
    )


def _behind(document: Mapping[str, Any]) -> list[str]:
    return [f"{one.scenario}: {one.text}." for one in keeping_up(document) if one.behind]


def _sentence(code: int, document: Mapping[str, Any], reasons: list[str]) -> str:
    did = _what_happened(document)
    why = reasons[0].splitlines()[0].rstrip(".") if reasons else ""
    if code == ExitCode.GOOD:
        note = " The thresholds that the file sets were kept." if went_badly(document) else ""
        return f"{did}.{note}"
    if code == ExitCode.INVALID:
        cause = why.partition(": ")[0] or "The load generator was saturated"
        return f"{cause}, so the figures describe it more than KFP."
    if code == ExitCode.INTERRUPTED:
        return f"{why or 'The test was stopped before its end'}. Until then {did[0].lower()}{did[1:]}."
    if code == ExitCode.TARGET:
        return f"The target gave way: {why or 'it did not answer'}."
    return f"{why}. {did}." if why else f"{did}, but the test did not end well."


def _details(code: int, reasons: list[str]) -> list[str]:
    """Of an invalid test what stands behind its cause, which the sentence names alone."""
    details = reasons[0].partition(": ")[2] if code == ExitCode.INVALID and reasons else ""
    return [details] if details else []


def _what_happened(document: Mapping[str, Any]) -> str:
    runs = document["total"]["runs"]
    lasted = f"in {span_of(document['elapsed_seconds'])}" if document["elapsed_seconds"] else ""
    created, good = int(runs.get("created") or 0), int(runs.get("succeeded") or 0)
    wanted = max(created, int(runs.get("due") or 0) + int(runs.get("cut_off") or 0))
    if not wanted:
        calls = operations_of(document["total"]["api"], "load")
        count = sum(int(one.get("count") or 0) for one in calls.values())
        return f"{count_of(count, 'operation')} of the load, and no runs, {lasted}".rstrip(" ,")
    if good == wanted:
        return f"All {count_of(wanted, 'run')} succeeded {lasted}".rstrip().replace(
            "All 1 run ", "The only run "
        )
    rest = ", ".join(
        f"{int(runs[key]):,} {word}"
        for key, word in (
            ("failed", "failed"),
            ("refused", "were refused"),
            ("unfinished", "did not end in time"),
            ("lost", "got lost"),
            ("never_started", "never started"),
            ("cut_off", "were cut off"),
        )
        if runs.get(key)
    )
    return f"{good:,} of {count_of(wanted, 'run')} succeeded{f', {rest},' if rest else ''} {lasted}".rstrip()


def _caveats(document: Mapping[str, Any], missing: list[str]) -> list[str]:
    caveats = []
    if early := ended_early(document):
        caveats.append(early)
    if document["verdict"]["emulator"]:
        profile = document["target"]["emulator_profile"]
        named = f" (profile {profile})" if profile else ""
        caveats.append(f"Measured on kfp-perf's emulator{named}: figures of a model, not of a cluster.")
    if missing:
        named = ", ".join(missing[:6]) + (f" and {len(missing) - 6} more" if len(missing) > 6 else "")
        caveats.append(f"This result is not whole. It lacks {named}; what depends on that is left out.")
    return caveats
