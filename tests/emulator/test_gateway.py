"""What grpc-gateway and the mux before it say."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

V2 = "/apis/v2beta1"


def test_healthz_has_its_zeros(api: Any) -> None:
    reply = api.call("GET", "healthz")
    assert reply.json["multi_user"] is False
    assert set(reply.json) == {"commit_sha", "tag_name", "multi_user", "pipeline_store"}


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", f"{V2}/nothing", 404, {"code": 5, "message": "Not Found"}),
        ("GET", f"{V2}/runs/a/b", 404, {"code": 5, "message": "Not Found"}),
        ("PUT", f"{V2}/runs", 501, {"code": 12, "message": "Method Not Allowed"}),
        ("DELETE", f"{V2}/runs", 501, {"code": 12, "message": "Method Not Allowed"}),
        ("GET", f"{V2}/runs/x:archive", 404, None),
        ("POST", f"{V2}/runs/x:explode", 501, {"code": 12, "message": "Method Not Allowed"}),
        ("POST", f"{V2}/runs/x/nodes/y/artifacts/z:read", 501, None),
        ("GET", "/", 404, b"404 page not found\n"),
        ("GET", "/apis", 404, b"404 page not found\n"),
        ("PUT", "/emulator/v1/faults", 405, None),
    ],
)
def test_paths_and_methods(api: Any, method: Any, path: Any, status: Any, body: Any) -> None:
    reply = api.call(method, path)
    assert reply.status == status
    if body is not None:
        assert (reply.body if isinstance(body, bytes) else reply.json) == body
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"x": 1}', 'proto: (line 1:2): unknown field "x"'),
        ('{\n  "display_name": "a",\n  "colour": 1}', 'proto: (line 3:3): unknown field "colour"'),
        ('{"display_name": 5}', "proto: (line 1:18): invalid value for string field displayName: 5"),
        (
            '{"storage_state": "GONE"}',
            'proto: (line 1:19): invalid value for enum field storageState: "GONE"',
        ),
        ('{"created_at": "today"}', 'proto: (line 1:16): invalid google.protobuf.Timestamp value "today"'),
        ('{"display_name": "a", "displayName": "b"}', 'proto: (line 1:23): duplicate field "displayName"'),
        ("[]", "proto: syntax error (line 1:1): unexpected token ["),
        ("nonsense", "invalid character 'o' in literal null (expecting 'u')"),
        ('{"display_name": "a", "display_name": "b"}', 'proto: (line 1:23): duplicate field "display_name"'),
        ("{", "unexpected EOF"),
        ('{"display_name": tru}', "invalid character '}' in literal true (expecting 'e')"),
        ('{"display_name" 1}', "invalid character '1' after object key"),
        ('{"display_name": 1 2}', "invalid character '2' after object key:value pair"),
        ("{a: 1}", "invalid character 'a' looking for beginning of object key string"),
        ('{"display_name": [1 2]}', "invalid character '2' after array element"),
        ('{"display_name": "\\x"}', "invalid character 'x' in string escape code"),
        ("xx", "invalid character 'x' looking for beginning of value"),
        ("[" * 100_000, None),
        (b'{"display_name": "\xff"}', "proto: syntax error (line 1:1): invalid UTF-8 in string"),
        ('{"display_name": "\\ud800"}', None),
    ],
)
def test_bodies_that_are_no_messages(api: Any, body: Any, message: Any) -> None:
    reply = api.call("POST", "experiments", body)
    assert reply.status == 400
    assert reply.json["code"] == 3
    assert "details" not in reply.json
    if message is not None:
        # This build of protojson writes a no-break space.
        assert reply.json["message"] == message.replace("proto: ", "proto:\u00a0")


def test_what_follows_the_first_value_of_a_body_is_ignored(api: Any) -> None:
    assert api.call("POST", "experiments", '{"display_name": "first"} {"display_name": 1}').status == 200


def test_oneof_fields_exclude_each_other(api: Any) -> None:
    reply = api.call("POST", "runs", {"pipeline_spec": {}, "pipeline_version_reference": {}})
    assert reply.status == 400
    assert (
        "oneof kubeflow.pipelines.backend.api.v2beta1.Run.pipeline_source is already set"
        in reply.json["message"]
    )


def test_int64_is_taken_as_number_and_as_string_and_leaves_as_string(api: Any, small: Any) -> None:
    for value in (2, "2"):
        body = {"display_name": "j", "max_concurrency": value, "pipeline_spec": small}
        assert api.post("recurringruns", body)["max_concurrency"] == "2"


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("page_size=x", 'parsing field "page_size": strconv.ParseInt: parsing "x": invalid syntax'),
        (
            "page_size=99999999999",
            'parsing field "page_size": strconv.ParseInt: parsing "99999999999": value out of range',
        ),
        ("page_size=1&page_size=2", 'too many values for field "page_size": 1, 2'),
    ],
)
def test_query_parameters_that_do_not_fit(api: Any, query: Any, text: Any) -> None:
    reply = api.call("GET", f"{V2}/runs?{query}")
    assert reply.status == 400
    assert reply.json["message"] == text


def test_unknown_query_parameters_are_ignored(api: Any) -> None:
    assert api.call("GET", f"{V2}/runs?colour=red&pageSize=1").status == 200


def test_date_is_written_per_answer(api: Any) -> None:
    reply = api.call("GET", "healthz")
    assert reply.headers["date"].endswith("GMT")
    assert "server" not in reply.headers


def test_a_broken_request_gets_400_and_the_server_lives(api: Any) -> None:
    parts = urlsplit(api.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(b"what is this\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
    assert api.call("GET", "healthz").status == 200


def _talk(api: Any, data: bytes, answers: int) -> list[bytes]:
    """Send bytes on one connection, and return the statuses of so many answers."""
    parts = urlsplit(api.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        connection.sendall(data)
        received = b""
        while len(re.findall(rb"HTTP/1\.1 \d{3} ", received)) < answers:
            part = connection.recv(65536)
            assert part, received
            received += part
    return re.findall(rb"HTTP/1\.1 (\d{3}) ", received)


HEALTHZ = f"GET {V2}/healthz HTTP/1.1\r\nHost: x\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (f"OPTIONS {V2}/runs HTTP/1.1\r\nHost: x\r\n\r\n".encode(), b"501"),
        (f"GET http://x{V2}/healthz HTTP/1.1\r\nHost: x\r\n\r\n".encode(), b"200"),
        (f"GET {V2}/healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello".encode(), b"200"),
        (
            f"POST {V2}/experiments HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            '8\r\n{"displa\r\n15\r\ny_name": "in chunks"}\r\n0\r\n\r\n'.encode(),
            b"200",
        ),
    ],
)
def test_a_connection_lives_on_after_odd_requests(api: Any, first: Any, status: Any) -> None:
    assert _talk(api, first + HEALTHZ, 2) == [status, b"200"]


def test_pipelined_requests_are_answered_in_order(api: Any) -> None:
    missing = f"GET {V2}/runs/none HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    answers = _talk(api, (HEALTHZ + missing) * 100, 200)
    assert answers == [b"200", b"404"] * 100


def test_a_body_that_is_too_large_is_refused_and_read_away(api: Any) -> None:
    length = (40 << 20) + 1000
    head = f"POST {V2}/runs HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()
    answers = _talk(api, head + b" " * length + HEALTHZ, 2)
    assert answers == [b"413", b"200"]


def test_idle_connections_and_unfinished_requests_hold_nobody_up(api: Any) -> None:
    parts = urlsplit(api.url)
    half = f"POST {V2}/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode()
    with contextlib.ExitStack() as stack:
        for number in range(200):
            connection = socket.create_connection((parts.hostname, parts.port), timeout=10)
            stack.enter_context(connection)
            if number % 2:
                connection.sendall(half)
        assert api.call("GET", "healthz").status == 200


@pytest.mark.parametrize("path", ["outcomes", "restart", "faults"])
@pytest.mark.parametrize("body", [b'["\xff"]', b'{"\xff": 1}', b"5", b"nonsense", b"[" * 100_000, b"[null]"])
def test_the_control_api_refuses_what_it_cannot_read(api: Any, path: Any, body: Any) -> None:
    reply = api.call("POST", f"/emulator/v1/{path}", body)
    assert reply.status == 400, reply.body
    assert reply.json["code"] == 3


def test_a_client_that_goes_away_in_its_body_does_no_harm(api: Any) -> None:
    parts = urlsplit(api.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(f"POST {V2}/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
    assert api.call("GET", "healthz").status == 200


def test_older_servers_add_a_field_error(start: Any) -> None:
    api = start(version="2.5.0")
    body = api.call("GET", "runs/none").json
    assert body["error"] == body["message"]
    assert api.get("healthz")["tag_name"] == "2.5.0"


@pytest.mark.parametrize("version", ["2.14.3", "2.17.0", "2.50.0"])
def test_newer_servers_do_not(start: Any, version: str) -> None:
    assert set(start(version=version).call("GET", "runs/none").json) == {"code", "message", "details"}


def test_the_openapi_document_names_every_route(api: Any) -> None:
    document = api.call("GET", "/emulator/v1/openapi.json").json
    operations = {
        operation["operationId"] for methods in document["paths"].values() for operation in methods.values()
    }
    assert {"CreateRun", "ListRecurringRuns", "UploadPipeline", "GetHealthz", "ReadArtifact"} <= operations
    assert "pipeline_version_reference" in json.dumps(document["components"]["schemas"]["Run"])
