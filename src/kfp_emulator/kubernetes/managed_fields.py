"""The managedFields of an object: which of its fields a client has set (server-side apply, FieldsV1).

They make up a third of a real pod's bytes, and a reader of pods has to get past them.
"""

from __future__ import annotations

from typing import Any

_MERGE_KEYS = {
    "conditions": "type",
    "containers": "name",
    "containerStatuses": "",
    "env": "name",
    "initContainers": "name",
    "initContainerStatuses": "",
    "ownerReferences": "uid",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""Lists that are merged by a key; all others are owned as a whole, as are those without one."""
_ATOMIC = frozenset({"valueFrom", "fieldRef", "configMapRef", "state", "lastState"})


def fields_of(value: Any) -> dict[str, Any]:
    """Return the FieldsV1 form of an object's part."""
    if not isinstance(value, dict):
        return {}
    fields: dict[str, Any] = {}
    for name, inner in value.items():
        key = _MERGE_KEYS.get(name, "")
        if isinstance(inner, list) and key:
            fields[f"f:{name}"] = {
                ".": {},
                **{
                    f'k:{{"{key}":"{item.get(key, "")}"}}': {".": {}, **fields_of(item)}
                    for item in inner
                    if isinstance(item, dict)
                },
            }
        elif isinstance(inner, dict) and name not in _ATOMIC:
            fields[f"f:{name}"] = {".": {}, **fields_of(inner)} if name == "labels" else fields_of(inner)
        else:
            fields[f"f:{name}"] = {}
    return fields


def entry(manager: str, operation: str, time: str, fields: Any, subresource: str = "") -> dict[str, Any]:
    """Return one entry of managedFields; `fields` is FieldsV1, encoded or not."""
    found: dict[str, Any] = {
        "manager": manager,
        "operation": operation,
        "apiVersion": "v1",
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    if subresource:
        found["subresource"] = subresource
    return found
