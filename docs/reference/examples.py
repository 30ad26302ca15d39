"""Parts of examples/plugin.py, for docs/extending.md."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PLUGIN = Path(__file__).parents[2] / "examples" / "plugin.py"


def example_of(*names: str) -> Callable[[], str]:
    """Return what writes classes, functions and assignments of examples/plugin.py as they are."""

    def write() -> str:
        source = PLUGIN.read_text(encoding="utf-8")
        nodes: dict[str, ast.stmt] = {}
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                nodes[node.name] = node
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                nodes[node.targets[0].id] = node
        parts = [ast.get_source_segment(source, nodes[name]) or "" for name in names]
        return "```python\n" + "\n\n\n".join(parts) + "\n```"

    return write
