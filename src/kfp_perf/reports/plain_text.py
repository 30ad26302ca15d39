"""Reports of rich's renderables: on a terminal, or as plain text."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from typing import TextIO

    from rich.console import RenderableType

#: The width of plain text, and from which width on a terminal has room for all columns.
WIDE = 100


def print_to(file: TextIO, content: RenderableType) -> None:
    """Print in colours, as wide as the terminal."""
    Console(file=file, highlight=False).print(content, crop=False)


def plain_text(content: RenderableType) -> bytes:
    """Plain text, 100 columns wide."""
    text = io.StringIO()
    Console(file=text, highlight=False, width=WIDE).print(content, crop=False)
    return text.getvalue().encode(errors="replace")
