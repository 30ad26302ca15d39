"""What a file is that is no compiled pipeline, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

COMPILE_REMEDY = (
    "compile it with the kfp SDK, version 2: kfp dsl compile --py pipeline.py --output pipeline.yaml"
)
SUFFIXES = (".yaml", ".yml", ".json")
"""The suffixes of pipeline files."""

_UNPACK = "unpack it, and name the pipeline.yaml that was in it"
_DOWNLOAD = "download the file itself: this may be a page for signing in"
_PACKAGES = frozenset({".zip", ".gz", ".tgz", ".tar"})
_BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "is a zip archive", _UNPACK),
    (b"\x1f\x8b", "is a gzip archive", _UNPACK),
    (b"\xff\xfe", "is UTF-16, and has to be UTF-8", "save it as UTF-8"),
    (b"\xfe\xff", "is UTF-16, and has to be UTF-8", "save it as UTF-8"),
    (b"version https://git-lfs", "is a pointer of Git LFS, not the file itself", "run `git lfs pull`"),
    *((tag, "is HTML or XML, not YAML", _DOWNLOAD) for tag in (b"<!", b"<html", b"<?xml")),
)


def misfit_of_name(path: Path) -> Problem | None:
    """Return what a file is by its suffix, if no pipeline has that; None: it may be a pipeline."""
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return None
    what = f"is none of {', '.join(SUFFIXES)}"
    if suffix in _PACKAGES:
        return Problem(str(path), what, _UNPACK)
    if suffix == ".py":
        output = path.with_suffix(".yaml").name
        remedy = f"compile it: kfp dsl compile --py {path.name} --output {output}"
        return Problem(str(path), what, remedy)
    return Problem(str(path), what, "give the compiled YAML itself")


def misfit_of_bytes(data: bytes, label: str) -> Problem | None:
    """Return what a file is by its first bytes, if that is no YAML or JSON; None: it may be."""
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    for beginning, what, remedy in _BEGINNINGS:
        if start.startswith(beginning):
            return Problem(label, what, remedy)
    return None


def misfit_of(documents: Sequence[Any], label: str) -> Problem | None:
    """Return why documents are something else than a PipelineSpec, or one with a platform's; None: they may be."""
    for document in documents:
        if not isinstance(document, dict):
            what = "a list" if isinstance(document, list) else "a single value"
            return Problem(label, f"is not a compiled pipeline: it holds {what}", COMPILE_REMEDY)
    platforms = [document for document in documents if "platforms" in document]
    specs = [document for document in documents if "platforms" not in document]
    if not documents:
        return Problem(label, "is not a compiled pipeline: it has no document", COMPILE_REMEDY)
    if not specs:
        what = "is not a compiled pipeline: it holds a platform specification only"
        return Problem(label, what, COMPILE_REMEDY)
    if len(specs) > 1 or len(platforms) > 1:
        many = f"{len(specs)} pipelines" if len(specs) > 1 else f"{len(platforms)} platform specifications"
        return Problem(label, f"holds {many}, and may hold one", "give each pipeline a file of its own")
    return _misfit(specs[0], label)


def _misfit(document: Mapping[str, Any], label: str) -> Problem | None:
    if "workflows.argoproj.io" in str(document.get("metadata", "")) or document.get("kind") == "Workflow":
        return Problem(label, "is an Argo workflow (KFP version 1), not a compiled pipeline", COMPILE_REMEDY)
    parts = {"pipelineInfo": "pipeline_info", "root": "root"}
    if all(isinstance(document.get(name, document.get(other)), dict) for name, other in parts.items()):
        return None
    if "apiVersion" in document and "kind" in document:
        what = f"is a Kubernetes object of kind {document['kind']!s:.60}, not a compiled pipeline"
        return Problem(label, what, COMPILE_REMEDY)
    if "implementation" in document:
        remedy = "use it in a pipeline, and compile that"
        return Problem(label, "is the definition of a component, not a compiled pipeline", remedy)
    for name in ("pipelineSpec", "pipeline_spec"):
        if isinstance(document.get(name), dict):
            remedy = f"make a file of what is under {name}"
            return Problem(label, f"holds a compiled pipeline under {name}, and more", remedy)
    return Problem(label, "is not a compiled pipeline: it needs pipelineInfo and root", COMPILE_REMEDY)
