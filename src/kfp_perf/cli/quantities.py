"""Options that are quantities: percentages and times, with the messages that wrong ones get."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from typing import Any

_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%", re.ASCII)


def percentage(context: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """The share that a percentage between 0 and 100 is; `5%` is 0.05."""
    if value is None:
        return None
    matched = _PERCENT.fullmatch(value.strip())
    share = float(matched[1]) / 100.0 if matched else -1.0
    if not 0.0 < share < 1.0:
        raise click.BadParameter(
            f"{value!r} is not a percentage between 0 and 100: write it as 5%.", context, option
        )
    return share


def seconds(context: click.Context, option: click.Parameter, value: Any) -> float | None:
    """The seconds that a time such as `90s` or `1m30s` is."""
    if value is None:
        return None
    from pydantic_core import PydanticCustomError

    from kfp_perf.scenario.quantities import parse_minutes

    text = str(value).strip()
    if text == "0":
        return 0.0
    try:
        return round(parse_minutes(text) * 60.0, 9)
    except (ValueError, PydanticCustomError):
        raise click.BadParameter(
            f"{value!r} is not a time: write it as 30s or 1m30s.", context, option
        ) from None
