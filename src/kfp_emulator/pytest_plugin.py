"""Fixtures with an emulator, for the tests of programs that talk to Kubeflow Pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_emulator.process import Emulator

_MARKER = "emulated_kfp"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting for the emulator's options."""
    parser.addini(
        "emulated_kfp_options",
        "options of kfp-emulator for the fixtures emulated_kfp and shared_emulated_kfp",
        type="args",
        default=["--profile", "fast"],
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", f"{_MARKER}(*options): options of kfp-emulator for the fixture emulated_kfp of this test"
    )


@pytest.fixture
def emulated_kfp(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """A new emulator for this test: `url`, `environment`, and control of faults, outcomes and the truth.

    Its options are those of the marker `emulated_kfp`, else of the setting `emulated_kfp_options`.
    """
    marker = request.node.get_closest_marker(_MARKER)
    options = request.config.getini("emulated_kfp_options") if marker is None else marker.args
    yield from _running(*map(str, options))


@pytest.fixture(scope="session")
def shared_emulated_kfp(pytestconfig: pytest.Config) -> Iterator[Emulator]:
    """One emulator for all tests that use it, with each other's objects and faults."""
    yield from _running(*pytestconfig.getini("emulated_kfp_options"))


def _running(*options: str) -> Iterator[Emulator]:
    from kfp_emulator.process import EmulatorFailed, running

    try:
        with running(*options) as emulator:
            yield emulator
    except EmulatorFailed as failed:
        pytest.fail(f"The emulator did not start with {' '.join(options)}:\n{failed}", pytrace=False)
