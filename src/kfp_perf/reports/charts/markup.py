"""Elements of SVG and HTML as text in which everything that is not an element is escaped."""

from __future__ import annotations

from markupsafe import Markup, escape


def element(name: str, /, *children: object, **attributes: object) -> Markup:
    """`<name attributes>children</name>`.

    Children and values are escaped, but for those that are `Markup`. Attributes that are None are left out; an
    underscore in an attribute's name stands for a hyphen, one at its end (`class_`) for nothing.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(str(escape(child)) for child in children)
    closing = f">{inner}</{name}>" if children else "/>"
    return Markup(f"<{name}{written}{closing}")  # noqa: S704  every part was escaped above


def joined(parts: object) -> Markup:
    """Elements one after the other."""
    return Markup("").join(parts)  # type: ignore[arg-type]


def number(value: float) -> str:
    """A coordinate to a tenth of a pixel, as short as possible."""
    text = f"{value:.1f}"
    return text.removesuffix(".0")


def _text(value: object) -> object:
    return number(value) if isinstance(value, float) else value
