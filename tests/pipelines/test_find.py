from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kfp_perf.catalog import PIPELINES
from kfp_perf.errors import InputError
from kfp_perf.pipelines.find import find_pipeline

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two pipeline folders, with a file of one name in both, and a secret outside of them."""
    for name in ("first/sub", "second"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("first/a.yaml", "second/a.yaml", "second/b.yaml", "first/sub/c.yaml", "secret.yaml"):
        (tmp_path / name).write_text("x")
    return [tmp_path / "first", tmp_path / "second", tmp_path / "none"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.yaml", "first/a.yaml"),
        ("./a.yaml", "first/a.yaml"),
        ("b.yaml", "second/b.yaml"),
        ("sub/c.yaml", "first/sub/c.yaml"),
    ],
)
def test_the_first_folder_that_has_it_wins(
    folders: list[Path], tmp_path: Path, name: str, found: str
) -> None:
    assert find_pipeline(name, folders).resolve() == (tmp_path / found).resolve()


def test_the_built_in_pipelines_come_last(folders: list[Path]) -> None:
    assert find_pipeline("hello.yaml", folders) == PIPELINES / "hello.yaml"
    (folders[0] / "hello.yaml").write_text("x")
    assert find_pipeline("hello.yaml", folders) == folders[0] / "hello.yaml"


@pytest.mark.parametrize(
    "name",
    [
        "../secret.yaml",
        "sub/../../secret.yaml",
        "sub/../a.yaml",
        "/etc/passwd",
        "//etc/passwd",
        "~/a.yaml",
        "C:/a.yaml",
    ],
)
def test_names_that_lead_outside_are_refused(folders: list[Path], name: str) -> None:
    with pytest.raises(InputError, match="leads outside of the pipelines' folders"):
        find_pipeline(name, folders)


def test_an_absolute_path_is_refused_even_into_a_folder(folders: list[Path]) -> None:
    with pytest.raises(InputError, match="leads outside"):
        find_pipeline(str(folders[0] / "a.yaml"), folders)


def test_links_that_lead_outside_are_refused(folders: list[Path], tmp_path: Path) -> None:
    (folders[0] / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    (folders[0] / "up").symlink_to(tmp_path)
    (folders[0] / "inside.yaml").symlink_to(folders[0] / "sub" / "c.yaml")
    for name in ("link.yaml", "up/secret.yaml"):
        with pytest.raises(InputError, match="is a link that leads outside of"):
            find_pipeline(name, folders)
    assert find_pipeline("inside.yaml", folders) == folders[0] / "inside.yaml"


@pytest.mark.parametrize("name", ["", ".", "a\0.yaml", "..\\secret.yaml"])
def test_what_is_no_file_name_is_refused(folders: list[Path], name: str) -> None:
    with pytest.raises(InputError, match="is not a file name"):
        find_pipeline(name, folders)


def test_a_folder_and_a_name_without_end_are_refused(folders: list[Path]) -> None:
    with pytest.raises(InputError, match="is a folder"):
        find_pipeline("sub", folders)
    with pytest.raises(InputError, match="cannot be looked up"):
        find_pipeline("a" * 5000, folders)


def test_a_missing_pipeline_is_answered_with_the_nearest(folders: list[Path]) -> None:
    with pytest.raises(InputError) as caught:
        find_pipeline("helo.yaml", folders)
    assert caught.value.problems[0].remedy == "did you mean hello.yaml?"
    with pytest.raises(InputError) as caught:
        find_pipeline("quite-another", folders)
    assert "hello.yaml" in caught.value.problems[0].remedy
