"""The cache of executions."""

from __future__ import annotations

from typing import Any

from small_clusters import SLOW, chain
from small_pipelines import Draft, Simulation, phases, pods, task

from kfp_emulator.cluster.outcomes import Outcome

CACHED = {"enableCache": True}


def test_a_cache_hit_skips_the_executor() -> None:
    simulation = Simulation(SLOW)
    simulation.run(chain(1, cache=CACHED), "first")
    report = simulation.run(chain(1, cache=CACHED), "second")
    assert phases(report)["executor"] == "Skipped"
    assert phases(report)["t1"] == "Succeeded"
    assert pods(report) == 2


def test_a_run_without_caching_neither_reads_nor_fills_the_cache() -> None:
    simulation = Simulation()
    simulation.run(chain(1), "first")
    assert phases(simulation.run(chain(1, cache=CACHED), "second"))["executor"] == "Succeeded"
    assert phases(simulation.run(chain(1), "third"))["executor"] == "Succeeded"


def test_the_cache_goes_with_its_run_and_a_failure_is_not_cached() -> None:
    simulation = Simulation()
    simulation.run(chain(1, cache=CACHED), "first")
    simulation.cluster.delete("first")
    simulation.cluster.set_outcome(Outcome(failures=-1, run_id="second"))
    assert phases(simulation.run(chain(1, cache=CACHED), "second"))["executor"] == "Failed"
    assert phases(simulation.run(chain(1, cache=CACHED), "third"))["executor"] == "Succeeded"
    assert phases(simulation.run(chain(1, cache=CACHED), "fourth"))["executor"] == "Skipped"
    simulation.cluster.delete("fourth")
    assert phases(simulation.run(chain(1, cache=CACHED), "fifth"))["executor"] == "Skipped"


def test_what_the_cache_key_covers() -> None:
    draft = Draft()
    draft.container("say", inputs={"text": "STRING"})
    draft.container("tell", inputs={"text": "STRING"})
    simulation = Simulation()
    count = 0

    def hit(component: str, text: str, cache: dict[str, Any] = CACHED) -> bool:
        nonlocal count
        count += 1
        pipeline = draft.pipeline({"t": task(component, gets={"text": text}, cache=cache)})
        return phases(simulation.run(pipeline, f"run-{count}"))["executor"] == "Skipped"

    assert not hit("say", "a")
    assert hit("say", "a")
    assert not hit("say", "b")
    assert not hit("tell", "a")
    assert not hit("say", "run {{$.pipeline_job_uuid}}")
    assert not hit("say", "run {{$.pipeline_job_uuid}}")
    keyed = {"enableCache": True, "cacheKey": "mine"}
    assert not hit("say", "c", keyed)
    assert hit("say", "d", keyed)
    assert not hit("tell", "d", keyed)


def test_a_cached_output_is_that_of_the_run_that_made_it() -> None:
    draft = Draft()
    draft.container("flip", outputs={"side": "STRING"})
    draft.container("work", inputs={"side": "STRING"})
    when = "inputs.parameter_values['side'] == 'heads'"
    tasks = {
        "flip": task("flip", cache=CACHED),
        "work": task("work", gets={"side": ("flip", "side")}, when=when),
    }
    pipeline = draft.pipeline(tasks)
    simulation = Simulation()
    found = {phases(simulation.run(pipeline, f"run-{number}"))["work"] for number in range(20)}
    assert len(found) == 1


def test_anonymous_entries_of_the_cache() -> None:
    simulation = Simulation(anonymous_cache_entries=True)
    report = simulation.run(chain(3, cache=CACHED))
    anonymous = [node for node in report.nodes if not node.display_name]
    assert len(anonymous) == 1  # three equal tasks: the first fills the cache
    assert anonymous[0].execution_id > 0
    assert (anonymous[0].phase, anonymous[0].node_id) == ("", "")
    assert len({node.task_id for node in report.nodes}) == len(report.nodes)
