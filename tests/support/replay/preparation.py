"""What the emulator needs before an exchange of a recording: objects that were made before it, and time.

Experiments and pipelines that a request refers to and no answer has shown are made as they are needed; here is
what cannot be seen from the requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Wait:
    """Let time pass before an exchange."""

    before: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Experiments:
    """Make experiments, given by name and recorded id, whose ids have the same order as the recorded ones."""

    before: int
    ids: Mapping[str, str]
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Runs:
    """Make runs with the body of an earlier request, given by name and recorded id, a second apart."""

    before: int
    like: int
    ids: Mapping[str, str]


Step = Wait | Experiments | Runs


@dataclass(frozen=True, slots=True)
class Preparation:
    """The steps of one recording, and the emulator's options.

    `cached` is whether tasks may be taken from the cache: the recorded server's drivers were played by a test
    program that did so in one recording only.
    """

    steps: tuple[Step, ...] = ()
    cached: bool = False
    profile: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the emulator's profile that differ from those of the other recordings."""
    options: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """The headers of requests that are not in the recording."""
    not_replayable: Mapping[int, str] = field(default_factory=dict)


OLDER = "lists objects that were made before the recording"
OUTCOMES = (
    {"task": "*fail*", "failures": -1},
    {"task": "flaky", "failures": 1},
    {"task": "choose", "outputs": {"chosen": "heads"}},
)
"""How tasks ended on the recorded server, whose pods were played by a test program."""

TERMINATED_AT_ONCE = Preparation(
    profile={"controller_pass_seconds": 1, "controller_requeue_seconds": 1, "report_delay_seconds": 5}
)
"""The recorded server was busy: the controller looked at the workflow after it was terminated, the agent later."""

PREPARATIONS: dict[str, Preparation] = {
    "05-experiment-lists": Preparation(
        steps=(
            Experiments(
                0,
                {
                    "rec-l2": "15f4cdf1-5bcb-43aa-8975-3928eb01ea96",
                    "rec-l3": "6e4771e4-9ef4-4e7c-902a-d75d93b20eb3",
                    "rec-l0": "b0689d7d-4731-40a8-96d1-8f56f0465894",
                    "rec-l4": "b9954bc7-cd93-4032-ba51-6434b5c7ca4d",
                    "rec-l1": "fe843287-9ed4-4a09-b961-3ecc063124ff",
                },
            ),
        ),
        not_replayable={29: OLDER, 31: OLDER},
    ),
    "06-pipeline-life": Preparation(steps=(Wait(6, 1.0),)),
    "11-run-lists": Preparation(
        steps=(
            Runs(
                1,
                0,
                {
                    "rec-r1": "ac51e236-79d8-44ee-800c-5cd83c111348",
                    "rec-r2": "2d9e7f50-6579-4d34-9b95-012de677f142",
                },
            ),
            Wait(1, 60.0),
        ),
        not_replayable={23: OLDER},
    ),
    "24-life-terminated-at-once": TERMINATED_AT_ONCE,
    "run-terminated": TERMINATED_AT_ONCE,
    "41-recurring-life": Preparation(steps=(Wait(4, 32.0), Wait(5, 1.0), Wait(17, 31.0), Wait(18, 1.0))),
    "50-cached": Preparation(cached=True),
    "60-multi-user": Preparation(
        steps=(Experiments(0, {"e1": "384d13bb-765c-4cbb-add8-f6155ad74c0e"}, "team-a"), Wait(47, 1.0)),
        options={"multi_user": True},
        headers={"kubeflow-userid": "alice@example.com"},
    ),
}


def preparation_of(name: str) -> Preparation:
    """Return the preparation of a recording."""
    return PREPARATIONS.get(name, Preparation())


__all__ = ["OUTCOMES", "Experiments", "Preparation", "Runs", "Step", "Wait", "preparation_of"]
