"""From scrapes to figures: deltas, resets, replicas, restarts, and values that contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from made_evidence import exposition

from kfp_perf.evidence.exposition import NotMetrics
from kfp_perf.evidence.profiles import CONTROLLER, PROCESS, PROFILES, SCHEDULES, SERVER, profile_of
from kfp_perf.evidence.readings import Readings, Stretch
from kfp_perf.evidence.scrape import Changes, ScrapeLine, ScrapeReader, scrape_decoder

if TYPE_CHECKING:
    from kfp_perf.evidence.profiles import Profile

BEGAN = 1_000.0
TEST = Stretch(10_000.0, 10_100.0)


def readings(*scrapes: ScrapeLine) -> Readings:
    """What is read back of these scrapes, which are written as the collector writes them."""
    changes = Changes()
    return Readings([scrape_decoder.decode(msgspec.json.encode(changes.of(one))) for one in scrapes])


def scrape(at: float, *, began: float = BEGAN, memory: float = 1.0, **counters: float) -> ScrapeLine:
    return ScrapeLine(at=at, server_at=at, began=began, gauges={"memory": memory}, counters=counters)


def with_buckets(at: float, total: float, *counts: float, began: float = BEGAN) -> ScrapeLine:
    bounds = [0.1, 0.3, None]
    return ScrapeLine(
        at=at, server_at=at, began=began, histograms={"h": [total, *counts]}, bounds={"h": bounds}
    )


def test_a_counter_grows_from_the_scrape_before_the_stretch_to_the_one_after_it() -> None:
    found = readings(*(scrape(9_990.0 + 20.0 * place, calls=10.0 * place) for place in range(9)))
    assert found.increase("calls", TEST) == 60.0  # from 9,990 to 10,110
    assert found.seconds(TEST) == 120.0
    assert found.increase("none", TEST) is None
    assert found.rates("calls", TEST)[0] == (10_000.0, 0.5)


def test_a_counter_that_appears_in_the_test_began_at_zero() -> None:
    found = readings(scrape(9_990.0), scrape(10_110.0, calls=7.0))
    assert found.increase("calls", TEST) == 7.0


def test_only_what_has_changed_is_written_and_all_is_read_back() -> None:
    changes = Changes()
    lines = [changes.of(scrape(at, memory=5.0, calls=at, idle=3.0)) for at in (9_990.0, 10_050.0, 10_110.0)]
    assert [sorted(line.counters) for line in lines] == [["calls", "idle"], ["calls"], ["calls"]]
    assert lines[2].gauges == {}
    assert Readings(lines).gauge("memory", TEST) == [(9_990.0, 5.0), (10_050.0, 5.0), (10_110.0, 5.0)]


def test_a_restart_is_counted_and_loses_nothing_that_was_scraped() -> None:
    found = readings(
        scrape(9_990.0, calls=100.0),
        scrape(10_050.0, calls=130.0),
        scrape(10_110.0, began=10_060.0, calls=5.0),
    )
    assert found.restarts == 1
    assert found.resets == 0
    assert found.processes == 2
    assert found.increase("calls", TEST) == 35.0


def test_a_process_that_is_replaced_within_seconds_of_its_start_is_a_restart() -> None:
    found = readings(
        scrape(9_989.0, began=9_988.0, cpu=0.5),
        scrape(9_991.0, began=9_989.5, cpu=0.1),
        scrape(9_995.0, began=9_989.5, cpu=0.9),  # more than the first one used
    )
    assert found.restarts == 1
    assert found.processes == 2


def test_a_start_that_is_read_a_second_off_is_the_same_process() -> None:
    found = readings(*(scrape(9_990.0 + one, began=BEGAN + one % 2, cpu=one) for one in range(6)))
    assert found.restarts == 0
    assert found.processes == 1


def test_replicas_that_answer_in_turn_are_no_restarts() -> None:
    found = readings(
        scrape(9_990.0, calls=100.0),
        scrape(10_000.0, began=2_000.0, calls=7.0),
        scrape(10_105.0, calls=110.0),
        scrape(10_110.0, began=2_000.0, calls=9.0),
    )
    assert found.restarts == 0
    assert found.processes == 2
    assert found.increase("calls", TEST) == 12.0


def test_a_start_that_is_a_second_off_is_that_of_the_same_process() -> None:
    found = readings(scrape(9_990.0, calls=1.0), scrape(10_110.0, began=BEGAN + 1.0, calls=2.0))
    assert (found.restarts, found.processes, found.increase("calls", TEST)) == (0, 1, 1.0)


def test_a_counter_that_falls_without_a_known_start_is_a_restart() -> None:
    found = readings(scrape(9_990.0, began=0.0, calls=9.0), scrape(10_110.0, began=0.0, calls=4.0))
    assert found.restarts == 1
    assert found.increase("calls", TEST) == 4.0


def test_a_counter_that_falls_in_the_same_process_is_a_contradiction_and_no_restart() -> None:
    found = readings(*(scrape(9_990.0 + 10.0 * place, calls=9.0 - place % 2) for place in range(10)))
    assert found.restarts == 0
    assert found.resets == 5
    assert (found.increase("calls", TEST) or 0.0) >= 0.0


def test_a_histogram_grows_bucket_by_bucket() -> None:
    found = readings(with_buckets(9_990.0, 1.0, 1.0, 2.0, 2.0), with_buckets(10_110.0, 4.0, 4.0, 9.0, 10.0))
    growth = found.growth("h", TEST)
    assert growth is not None
    assert growth.counts == [3.0, 4.0, 1.0]
    assert growth.total == 3.0
    assert growth.bounds == [0.1, 0.3, float("inf")]


def test_counts_are_written_until_they_have_reached_the_last_and_read_back_whole() -> None:
    reader = ScrapeReader(SERVER)
    line = reader.read(exposition("server", 10.0), TEST.begin)
    assert line.histograms["handling/CreateRun"] == [15.0, 50.0, 100.0]
    later = reader.read(exposition("server", 20.0), TEST.end)
    growth = readings(line, later).growth("handling/CreateRun", TEST)
    assert growth is not None
    assert growth.counts == [50.0, 50.0, 0.0]


def test_a_single_scrape_tells_levels_and_no_growth() -> None:
    found = readings(scrape(10_050.0, calls=9.0))
    assert found.gauge("memory", TEST) == [(10_050.0, 1.0)]
    assert found.increase("calls", TEST) is None
    assert found.growth("h", TEST) is None


def test_scrapes_that_found_nothing_are_times_only() -> None:
    found = readings(ScrapeLine(at=10_000.0, missed="no whole answer within 4 s"), scrape(10_001.0))
    assert found.missed == [10_000.0]
    assert found.count == 1


def test_so_many_processes_that_an_endpoint_must_lie_are_read_without_remembering_all() -> None:
    changes = Changes()
    lines = [changes.of(scrape(10_000.0 + place, began=100.0 * place, calls=1.0)) for place in range(1, 500)]
    assert len(changes._last) <= 32
    assert Readings(lines).processes == 499


@pytest.mark.parametrize("profile", [SERVER, CONTROLLER, SCHEDULES, PROCESS], ids=lambda one: one.name)
def test_everything_of_a_profile_is_read(profile: Profile) -> None:
    text = exposition(profile.name, 3.0)
    line = ScrapeReader(profile).read(text, 1.0)
    keys = {key.split("/")[0] for key in (*line.gauges, *line.counters, *line.histograms)}
    assert keys == {wanted.key for wanted in profile.wanted}
    assert line.began == 1_789_999_000.0
    assert profile_of(text) is profile
    assert PROFILES[profile.name] is profile


def test_series_that_differ_in_other_labels_are_added_up() -> None:
    text = b"""argo_workflows_k8s_request_duration_bucket{verb="Get",le="0.1"} 1
argo_workflows_k8s_request_duration_bucket{verb="Get",le="+Inf"} 2
argo_workflows_k8s_request_duration_sum{verb="Get"} 1
argo_workflows_k8s_request_duration_bucket{verb="List",le="0.1"} 3
argo_workflows_k8s_request_duration_bucket{verb="List",le="+Inf"} 5
argo_workflows_k8s_request_duration_sum{verb="List"} 2
"""
    line = ScrapeReader(CONTROLLER).read(text, 1.0)
    assert line.histograms == {"kubernetes_request": [3.0, 4.0, 7.0]}
    assert line.bounds == {"kubernetes_request": [0.1, None]}


@pytest.mark.parametrize(
    ("lines", "dubious"),
    [
        (b"go_goroutines NaN\n", "go_goroutines is nan"),
        (b"process_cpu_seconds_total -1\n", "process_cpu_seconds_total is -1.0"),
        (b"process_cpu_seconds_total +Inf\n", "process_cpu_seconds_total is inf"),
        (
            b"""grpc_server_handling_seconds_bucket{grpc_method="A",le="1"} 3
grpc_server_handling_seconds_bucket{grpc_method="A",le="+Inf"} 2
""",
            "the buckets of handling/A contradict each other",
        ),
        (
            b'grpc_server_handling_seconds_bucket{grpc_method="A",le="1"} 3\n',
            "the buckets of handling/A contradict each other",
        ),
    ],
)
def test_values_that_cannot_be_are_left_out_and_named(lines: bytes, dubious: str) -> None:
    reader = ScrapeReader(SERVER)
    line = reader.read(b"process_resident_memory_bytes 5\n" + lines, 1.0)
    assert reader.dubious == dubious
    assert line.gauges == {"memory": 5.0}
    assert not line.counters
    assert not line.histograms


def test_an_answer_without_any_metric_of_the_profile_is_refused() -> None:
    with pytest.raises(NotMetrics, match="none of the metrics of the KFP API server"):
        ScrapeReader(SERVER).read(b"other_metric 1\n", 1.0)


def test_an_hour_of_scrapes_at_the_default_interval_is_less_than_a_mebibyte() -> None:
    reader, changes = ScrapeReader(SERVER), Changes()
    written = 0
    for place in range(720):
        line = changes.of(reader.read(exposition("server", 1e5 + 17.0 * place), 1.79e9 + 5.0 * place))
        written += len(msgspec.json.encode(line)) + 1
    assert written < 2**20
