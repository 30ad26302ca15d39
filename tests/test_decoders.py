"""Decoders are made where modules are imported, not where threads run.

msgspec notes on an enumeration, and on a structure, how it is decoded, when the first decoder of it is made. Two
threads that make one at the same moment crash the interpreter (seen with msgspec 0.22).
"""

from __future__ import annotations

import ast
from pathlib import Path

SOURCES = Path(__file__).parents[1] / "src" / "kfp_perf"


def makes_a_decoder(node: ast.Call) -> bool:
    """Whether a call makes a decoder: one of its own, or behind `decode(..., type=...)` and `convert`."""
    name = ast.unparse(node.func)
    is_typed = any(keyword.arg == "type" for keyword in node.keywords)
    return name.endswith(("json.Decoder", "msgspec.convert")) or (name.endswith("json.decode") and is_typed)


def test_no_function_makes_a_decoder() -> None:
    found = [
        f"{path.relative_to(SOURCES)}:{node.lineno} {function.name}"
        for path in SOURCES.rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and makes_a_decoder(node)
    ]
    # Those of the client are made by functions and a class that are called as modules are imported.
    at_import = ("client/methods.py", "client/messages.py")
    assert [place for place in found if not place.startswith(at_import)] == []
