from __future__ import annotations

import threading
from pathlib import Path

import pytest

from kfp_perf.errors import RunnerError
from kfp_perf.result.journal import Journal, Made, ObjectKind, left_behind, target_of


def test_what_was_intended_and_not_deleted_is_left_behind_in_the_order_of_deletion(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.intend(ObjectKind.PIPELINE, "p", namespace="ns")
    journal.made(ObjectKind.PIPELINE, "p", "p-id")
    journal.intend(ObjectKind.EXPERIMENT, "e")
    journal.made(ObjectKind.EXPERIMENT, "e", "e-id")
    journal.intend(ObjectKind.RUN, "answered", parent="e-id")
    journal.made(ObjectKind.RUN, "answered", "r-id")
    journal.intend(ObjectKind.RUN, "cut off", parent="e-id")
    journal.intend(ObjectKind.RUN, "deleted", parent="e-id")
    journal.made(ObjectKind.RUN, "deleted", "d-id")
    journal.gone(ObjectKind.RUN, "deleted")
    journal.intend(ObjectKind.RECURRING_RUN, "s")
    journal.close()
    journal.close()
    assert left_behind(tmp_path / "j") == [
        Made(ObjectKind.RUN, "answered", parent="e-id", id="r-id"),
        Made(ObjectKind.RUN, "cut off", parent="e-id"),
        Made(ObjectKind.RECURRING_RUN, "s"),
        Made(ObjectKind.EXPERIMENT, "e", id="e-id"),
        Made(ObjectKind.PIPELINE, "p", namespace="ns", id="p-id"),
    ]


def test_what_is_kept_on_purpose_is_said_to_be(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.intend(ObjectKind.RUN, "failed")
    journal.keep(ObjectKind.RUN, "failed")
    journal.keep(ObjectKind.RUN, "never heard of")
    (made,) = left_behind(tmp_path / "j")
    assert (made.name, made.kept) == ("failed", True)


def test_a_line_that_was_cut_short_is_passed_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.intend(ObjectKind.RUN, "whole")
    journal.close()
    with (tmp_path / "j").open("ab") as file:
        file.write(b'{"kind":"run","name":"cu')
    assert [made.name for made in left_behind(tmp_path / "j")] == ["whole"]


def test_a_missing_journal_leaves_nothing(tmp_path: Path) -> None:
    assert left_behind(tmp_path / "none") == []


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")

    def write(thread: int) -> None:
        for number in range(200):
            journal.intend(ObjectKind.RUN, f"{thread}-{number}" * 20)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(left_behind(tmp_path / "j")) == 1600


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_without_room_nothing_is_made_and_what_was_made_can_still_be_deleted() -> None:
    journal = Journal(Path("/dev/full"))
    with pytest.raises(RunnerError, match=r"No space left on device.*nothing more is made"):
        journal.intend(ObjectKind.RUN, "r")
    journal.made(ObjectKind.RUN, "r", "id")
    journal.gone(ObjectKind.RUN, "r")
    journal.keep(ObjectKind.RUN, "r")
    journal.close()


def test_a_journal_knows_its_server(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", "http://kfp:8888")
    journal.intend(ObjectKind.RUN, "r")
    journal.close()
    Journal(tmp_path / "j").close()
    assert target_of(tmp_path / "j") == "http://kfp:8888"
    assert [made.name for made in left_behind(tmp_path / "j")] == ["r"]


@pytest.mark.parametrize("first", [b"", b'{"kind":"run","name":"r"}\n', b'{"targ'])
def test_a_journal_of_an_older_version_or_a_cut_one_names_no_server(first: bytes, tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(first)
    assert target_of(tmp_path / "j") == ""
