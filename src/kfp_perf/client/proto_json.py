"""Decoding of proto3's JSON mapping (https://protobuf.dev/programming-guides/json/).

A field that is unset may be missing or null, and a number may be a number or a text: 64-bit integers always are a
text. KFP's own gateway omits unset fields, but what stands before it may write the JSON anew.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

Answer = TypeVar("Answer")

#: What decoding a hostile body may raise; the last is for brackets that are nested too deeply.
UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class ProtoJsonDecoder(Generic[Answer]):
    """Decodes one type. Made at import: decoders that two threads make at one moment crash the interpreter."""

    def __init__(self, answer: type[Answer]) -> None:
        self._usual = msgspec.json.Decoder(answer)
        self._lenient = msgspec.json.Decoder(answer, strict=False)

    def decode(self, body: bytes | msgspec.Raw) -> Answer:
        """Return the message. Raises what `UNDECODABLE` lists; a `msgspec.ValidationError` names the field."""
        try:
            return self._usual.decode(body)
        except msgspec.ValidationError:
            # Rare, so the usual answer does not pay for it.
            return self._lenient.decode(msgspec.json.encode(_without_nulls(msgspec.json.decode(body))))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
