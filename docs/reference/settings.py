"""The settings: of kfp-perf in docs/configuration.md, of KFP in docs/tuning.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.tables import code, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kfp_perf.reports.tuning import Setting


def settings() -> str:
    """Return the settings: variable, meaning, default."""
    from kfp_perf.config import TestConfig, variable_name

    rows = []
    for name, info in TestConfig.model_fields.items():
        default = info.get_default()
        shown = "" if default is None or default == () else code(default)
        rows.append([f"`{variable_name(TestConfig, name)}`", f"`{name}`", info.description or "", shown])
    return table(("variable", "field of `TestConfig`", "meaning", "default"), rows)


def target_settings() -> str:
    """Return the settings of a table in the targets file, in two groups."""
    from kfp_perf.config import TestConfig
    from kfp_perf.targets import OF_ITS_USE, OF_THE_TARGET

    groups = {"not from the environment": OF_THE_TARGET, "else from the environment": OF_ITS_USE}
    rows = [
        [
            group if not place else "",
            f"`{name}`",
            "As `host`: an address with scheme, port and path"
            if name == "url"
            else TestConfig.model_fields[field].description or "",
        ]
        for group, names in groups.items()
        for place, (name, field) in enumerate(names.items())
    ]
    return table(("", "setting", "meaning"), rows)


def settings_by_phase() -> str:
    """Return the settings that govern each phase."""
    from kfp_perf.reports.tuning import SETTINGS

    return _settings_of(SETTINGS, "phase")


def settings_by_state() -> str:
    """Return the settings that govern how runs leave a state."""
    from kfp_perf.reports.run_states import STATES
    from kfp_perf.reports.tuning import SETTINGS_OF_STATES

    return _settings_of(
        {STATES[state]: found for state, found in SETTINGS_OF_STATES.items()}, "runs that are"
    )


def _settings_of(found: Mapping[str, Iterable[Setting]], what: str) -> str:
    rows = [
        [
            name if not place else "",
            one.component,
            ", ".join(f"`{part}`" if " " not in part else part for part in one.name.split(", ")),
            one.default,
            f"{one.effect} [source]({one.source})",
        ]
        for name, settings in found.items()
        for place, one in enumerate(settings)
    ]
    return table((what, "component", "setting", "default", "what it does"), rows)
