"""What the compiler makes of a pipeline; shared by all its runs, it never changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from kfp_emulator.pipelines.ir import Parameter

Kind = Literal["dag", "container", "importer", "volume"]
InputKind = Literal["constant", "component", "task", "status", "unknown"]


@dataclass(frozen=True, slots=True)
class InputPlan:
    """Where one input parameter of a task comes from.

    `source` is the constant, the component's input, or the producer's name; `key` the producer's output.
    """

    name: str
    kind: InputKind
    source: Any
    key: str = ""
    selector: str = ""


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """How often a failed executor is tried again, and after how long."""

    max_count: int
    backoff_seconds: float
    backoff_factor: float
    backoff_max_seconds: float


@dataclass(frozen=True, slots=True)
class LoopPlan:
    """What a ParallelFor runs over: `raw` items, or those in the input `items_input`."""

    item_input: str
    raw: str | None
    items_input: str
    parallelism: int


@dataclass(slots=True, eq=False)
class ComponentPlan:
    """A component: a DAG, a container, an importer, or a volume that the driver makes.

    `artifact_uri` is where an importer finds its artifact: a constant, or the name of an input.
    """

    name: str
    kind: Kind
    inputs: dict[str, Parameter]
    outputs: dict[str, str]
    image: str = ""
    fingerprint: bytes = b""
    artifact_uri: Any = None
    dag: DagPlan | None = None


@dataclass(slots=True, eq=False)
class TaskPlan:
    """A task of a DAG. `hook` is the exit task that runs once this one has ended, in whatever way."""

    name: str
    component: ComponentPlan
    inputs: tuple[InputPlan, ...]
    artifacts: tuple[str, ...]
    dependencies: tuple[int, ...] = ()
    dependents: tuple[int, ...] = ()
    condition: str = ""
    loop: LoopPlan | None = None
    retry: RetryPlan | None = None
    cache: bool = False
    cache_key: str = ""
    hook: TaskPlan | None = None
    index: int = 0


@dataclass(slots=True, eq=False)
class DagPlan:
    """The tasks of a DAG without its exit tasks, in an order in which each follows what it depends on.

    `outputs` maps each output parameter to (task, key) pairs, of which the first that exists is its source.
    """

    tasks: tuple[TaskPlan, ...]
    leaves: tuple[int, ...]
    outputs: dict[str, tuple[tuple[str, str], ...]]
    by_name: dict[str, int]
    exit_tasks: tuple[TaskPlan, ...] = ()


@dataclass(slots=True, eq=False)
class Plan:
    """A compiled pipeline."""

    name: str
    root: TaskPlan
    components: dict[str, ComponentPlan]
    made: dict[Any, Any] = field(default_factory=dict)
    """What the makers of outputs remember of this plan."""
