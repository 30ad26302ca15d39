from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from typing import Any

import pytest


def _zip(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_", "."), content)
    return buffer.getvalue()


def _tar(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_upload_makes_a_pipeline_and_a_version_of_the_same_name(api: Any) -> None:
    pipeline = api.upload(name="up", display_name="Up", description="d", tags='{"team":"a"}').json
    assert pipeline["name"] == "up"
    assert pipeline["display_name"] == "Up"
    assert pipeline["tags"] == {"team": "a"}
    listed = api.get(f"pipelines/{pipeline['pipeline_id']}/versions")
    assert listed["total_size"] == 1
    version = listed["pipeline_versions"][0]
    assert version["name"] == "up"
    assert version["pipeline_spec"]["pipelineInfo"] == {"name": "small"}
    path = f"pipelines/{pipeline['pipeline_id']}/versions/{version['pipeline_version_id']}"
    assert api.get(path) == version
    assert api.get("pipelines/names/up") == pipeline


@pytest.mark.parametrize(("query", "name"), [({}, "from-file.yaml"), ({"display_name": "Shown"}, "Shown")])
def test_the_name_is_name_else_display_name_else_the_file(api: Any, query: Any, name: Any) -> None:
    assert api.upload(file="from-file.yaml", **query).json["name"] == name


def test_archives_are_taken_by_content(api: Any, small: Any) -> None:
    data = json.dumps(small).encode()
    assert api.upload(_zip(pipeline_yaml=data, other_txt=b"x"), file="a.zip", name="zipped").status == 200
    assert api.upload(_tar(first_yaml=data), file="a.bin", name="tarred").status == 200
    for file, content in (
        ("a.zip", _zip(first_txt=b"x")),
        ("a.zip", b"PK\x03\x04 broken"),
        ("a.gz", gzip.compress(b"no tar")),
        ("a.bin", b"what?"),
    ):
        reply = api.upload(content, file=file, name="never")
        assert reply.status == 400
        assert reply.headers["content-type"].startswith("text/plain")
        assert reply.json["error_message"] == "Failed to read a pipeline spec file"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"hello", "unknown template format"),
        (b"a: [", "failed to parse pipeline spec YAML"),
        (b"a: &a [x]\nb: &b [*a,*a]\n" * 1, "unknown template format"),
    ],
)
def test_what_is_no_pipeline_is_refused_as_json(api: Any, content: Any, text: Any) -> None:
    reply = api.upload(content, name="bad")
    assert reply.status == 400
    assert reply.headers["content-type"] == "application/json"
    assert text in reply.json["error_message"]


def test_a_yaml_bomb_is_refused(api: Any) -> None:
    levels = "\n".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 10))
    reply = api.upload(f"l0: &l0 [x]\n{levels}\n".encode(), name="bomb")
    assert reply.status == 400


def test_pipeline_names_in_the_spec_are_checked_on_upload(api: Any, small: Any) -> None:
    small["pipelineInfo"]["name"] = "a.b"
    reply = api.upload(small, name="dotted")
    assert reply.status == 400
    assert "lowercase alphanumeric" in reply.json["error_message"]


def test_duplicates(api: Any) -> None:
    pipeline = api.upload(name="dup").json["pipeline_id"]
    reply = api.upload(name="dup")
    assert reply.status == 409
    assert reply.json["error_message"] == "Failed to create a pipeline and a pipeline version"
    reply = api.upload(path="pipelines/upload_version", name="dup", pipelineid=pipeline)
    assert reply.status == 409
    assert reply.json["error_message"] == "Failed to create a pipeline version"
    assert api.upload(path="pipelines/upload_version", name="second", pipelineid=pipeline).status == 200
    reply = api.call("POST", "pipelines", {"display_name": "dup"})
    assert reply.status == 409
    assert reply.json["details"][0]["message"].startswith(
        "Failed to create a new pipeline. The name dup already exist."
    )


def test_upload_version_has_one_text_for_nearly_everything(api: Any) -> None:
    for query in ({}, {"pipelineid": "none"}):
        reply = api.upload(path="pipelines/upload_version", name="v", **query)
        assert reply.status == 400
        assert reply.json["error_message"] == "Failed to create a pipeline version"
    assert (
        api.call("POST", "pipelines/upload", b"no form").json["error_message"]
        == "Failed to read pipeline from file"
    )
    assert api.call("GET", "pipelines/upload").status == 400  # any method reaches it


def test_lengths_and_tags(api: Any) -> None:
    reply = api.upload(name="x" * 129)
    assert reply.status == 400
    assert reply.body == b"Invalid input error: Pipeline.Name length cannot exceed 128\n"
    assert api.call("POST", "pipelines", {"name": "x" * 129}).status == 500
    assert (
        api.upload(name="t", tags='{"a.b":"c"}').json["error_message"]
        == "tag key \"a.b\" must not contain '.' character"
    )
    assert api.upload(name="t", tags="[1]").status == 400
    assert api.upload(name="t", tags=json.dumps({str(n): "x" for n in range(21)})).status == 400


def test_update_changes_name_and_tags_and_an_empty_map_clears(api: Any) -> None:
    pipeline = api.upload(name="patched", tags='{"a":"1"}').json["pipeline_id"]
    changed = api.call("PATCH", f"pipelines/{pipeline}", {"display_name": "New"}).json
    assert changed["display_name"] == "New"
    assert changed["tags"] == {"a": "1"}
    assert "tags" not in api.call("PATCH", f"pipelines/{pipeline}", {"tags": {}}).json
    version = api.get(f"pipelines/{pipeline}/versions")["pipeline_versions"][0]["pipeline_version_id"]
    path = f"pipelines/{pipeline}/versions/{version}"
    assert api.call("PATCH", path, {"tags": {"b": "2"}}).json["tags"] == {"b": "2"}
    assert api.call("PATCH", "pipelines/none", {"display_name": "x"}).status == 404


def test_delete_needs_cascade_while_there_are_versions(api: Any) -> None:
    pipeline = api.upload(name="deleted").json["pipeline_id"]
    reply = api.call("DELETE", f"pipelines/{pipeline}")
    assert reply.status == 400
    assert "Set cascade=true to delete all versions" in reply.json["details"][0]["message"]
    assert api.call("DELETE", f"pipelines/{pipeline}", cascade="maybe").status == 400
    assert api.delete(f"pipelines/{pipeline}", cascade="true") == {}
    assert api.call("GET", f"pipelines/{pipeline}").status == 404
    assert api.call("GET", f"pipelines/{pipeline}/versions").status == 404
    reply = api.call("GET", "pipelines/names/deleted")
    assert reply.json["details"][0]["message"] == "Namespace/Pipeline /deleted not found"


def test_lists_filter_by_tag(api: Any) -> None:
    api.upload(name="tagged-1", tags='{"color":"red"}')
    api.upload(name="tagged-2", tags='{"color":"blue"}')
    predicate = {"operation": "EQUALS", "key": "tags.color", "string_value": "red"}
    listed = api.get("pipelines", filter=json.dumps({"predicates": [predicate]}))
    assert [pipeline["name"] for pipeline in listed["pipelines"]] == ["tagged-1"]
    assert listed["total_size"] == 1
    predicate["operation"] = "NOT_EQUALS"
    assert api.call("GET", "pipelines", filter=json.dumps({"predicates": [predicate]})).status == 400


def test_json_routes_fetch_packages_only_where_the_real_server_would(api: Any) -> None:
    body = {
        "pipeline": {"name": "u"},
        "pipeline_version": {"package_url": {"pipeline_url": "http://127.0.0.1/x.yaml"}},
    }
    reply = api.call("POST", "pipelines/create", body)
    assert reply.status == 400
    assert reply.json["details"][0]["message"] == "Pipeline URL validation failed"
    pipeline = api.upload(name="url-version").json["pipeline_id"]
    reply = api.call(
        "POST", f"pipelines/{pipeline}/versions", {"name": "v", "package_url": {"pipeline_url": "x"}}
    )
    assert "Parent pipeline id is empty" in reply.json["message"]
