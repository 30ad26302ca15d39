"""Files that are no compiled pipeline are named for what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.errors import InputError
from kfp_perf.pipelines.package import read_pipeline

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[..., Path]

WORKFLOW = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "x"}, "spec": {}}


@pytest.mark.parametrize(
    ("documents", "what"),
    [
        ((), "is empty"),
        ((None,), "it has no document"),
        (("text",), "is not a compiled pipeline: it holds a single value"),
        (([1, 2],), "is not a compiled pipeline: it holds a list"),
        (({"a": 1},), "is not a compiled pipeline: it needs pipelineInfo and root"),
        (({"platforms": {}},), "it holds a platform specification only"),
        (({"a": 1}, {"a": 1}), "holds 2 pipelines, and may hold one"),
        (({"a": 1}, {"platforms": {}}, {"platforms": {}}), "holds 2 platform specifications"),
        ((WORKFLOW,), "is an Argo workflow (KFP version 1)"),
        (({"apiVersion": "v1", "kind": "Pod"},), "is a Kubernetes object of kind Pod"),
        (({"name": "a", "implementation": {}},), "is the definition of a component"),
        (({"pipelineSpec": {"root": {}}},), "holds a compiled pipeline under pipelineSpec"),
        (({"pipelineInfo": [], "root": {}},), "it needs pipelineInfo and root"),
    ],
)
def test_yaml_that_is_no_pipeline(write: Write, documents: tuple[Any, ...], what: str) -> None:
    with pytest.raises(InputError) as caught:
        read_pipeline(write(*documents))
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "what", "remedy"),
    [
        ("p.zip", b"", "is none of .yaml, .yml, .json", "unpack it"),
        ("p.tar.gz", b"", "is none of .yaml", "unpack it"),
        ("p.py", b"", "is none of .yaml", "kfp dsl compile --py p.py --output p.yaml"),
        ("p.txt", b"", "is none of .yaml", "give the compiled YAML itself"),
        ("p.yaml", b"PK\x03\x04\x14", "is a zip archive", "unpack it"),
        ("p.yaml", b"\x1f\x8b\x08", "is a gzip archive", "unpack it"),
        ("p.yaml", "a: 1".encode("utf-16"), "is UTF-16, and has to be UTF-8", "save it as UTF-8"),
        ("p.yaml", b"\n<!DOCTYPE html>", "is HTML or XML, not YAML", "download the file itself"),
        ("p.yaml", b"version https://git-lfs.github.com/spec/v1", "is a pointer of Git LFS", "git lfs pull"),
    ],
)
def test_files_of_another_kind(tmp_path: Path, name: str, data: bytes, what: str, remedy: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_pipeline(tmp_path / name)
    assert what in caught.value.problems[0].what
    assert remedy in caught.value.problems[0].remedy
