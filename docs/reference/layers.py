"""The picture of the layers, from the contracts in pyproject.toml."""

from __future__ import annotations

import ast
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]

_STEP, _LEFT, _WIDTH, _MOST_CHARACTERS = 34, 12, 1010, 96


def layers_picture() -> str:
    """Return an SVG of the layers of both packages, with what each holds, from the contract in pyproject.toml."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    parts: list[str] = []
    top = 26
    for contract in contracts:
        if contract["type"] != "layers":
            continue
        (package,) = contract["containers"]
        parts.append(f'<text x="{_LEFT}" y="{top}" class="title">{package}: imports only downward</text>')
        top += 12
        for layer in contract["layers"]:
            names = [name.strip() for name in layer.split("|")]
            what = "; ".join(_summary(package, name) for name in names)
            parts += [
                f'<rect x="{_LEFT}" y="{top}" width="{_WIDTH - 2 * _LEFT}" height="{_STEP - 6}" rx="4"/>',
                f'<text x="{_LEFT + 10}" y="{top + 18}" class="name">{" | ".join(names)}</text>',
                f'<text x="{_LEFT + 318}" y="{top + 18}">{escape(_shortened(what))}</text>',
            ]
            top += _STEP
        top += 30
    style = (
        "text{font:13px system-ui,sans-serif;fill:#1f2933}.title{font-weight:600;font-size:15px}"
        ".name{font-weight:600}rect{fill:#f5f7fa;stroke:#9aa5b1}"
        "@media(prefers-color-scheme:dark){text{fill:#e4e7eb}rect{fill:#1f2933;stroke:#52606d}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top - 20}" role="img" '
        f'aria-label="The layers of kfp_perf and kfp_emulator">\n<style>{style}</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 2].rstrip()} …"


def _summary(package: str, name: str) -> str:
    """Return the first sentence of the docstring of a layer's package or module."""
    path = ROOT / "src" / package / name
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    first = (ast.get_docstring(ast.parse(file.read_text())) or "").split("\n\n")[0].replace("\n", " ")
    return first.split(": ", 1)[-1].split(". ")[0].rstrip(".")
