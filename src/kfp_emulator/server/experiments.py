"""The rows of experiments, and the experiment that stands in where a request names none."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kfp_emulator.protocol.errors import invalid_input, not_found, wrapping

if TYPE_CHECKING:
    from kfp_emulator.server.state import Backend

COLUMNS = "id, name, description, created_at, namespace, storage_state, last_run_created_at"


class ExperimentRow(NamedTuple):
    """The columns of COLUMNS."""

    id: str
    name: str
    description: str
    created_at: int
    namespace: str
    storage_state: str
    last_run_created_at: int


def find(backend: Backend, experiment_id: str) -> ExperimentRow:
    """Return an experiment's row.

    Raises:
        ApiFault: 404.

    """
    row = backend.store.one(f"SELECT {COLUMNS} FROM experiments WHERE id = ?", experiment_id)  # noqa: S608  constant
    if row is None:
        raise not_found("Experiment", experiment_id)
    return ExperimentRow(*row)


def namespace_of(backend: Backend, experiment_id: str) -> str:
    """Return the namespace of an experiment.

    Raises:
        ApiFault: 404.

    """
    with wrapping(f"Failed to fetch namespace from experiment {experiment_id}"):
        return find(backend, experiment_id).namespace


def valid_pair(backend: Backend, experiment_id: str, namespace: str) -> tuple[str, str]:
    """Complete an experiment and its namespace: in single-user mode the default experiment stands in.

    Raises:
        ApiFault: there is no such experiment, or it is in another namespace.

    """
    if not experiment_id:
        if backend.access.multi_user:
            raise invalid_input("Experiment id can not be empty in multi-user mode")
        return default_experiment(backend), ""
    with wrapping(f"Failed to fetch namespace for experiment {experiment_id}"):
        actual = namespace_of(backend, experiment_id)
    if namespace and namespace != actual:
        raise invalid_input(
            f"Experiment {experiment_id} belongs to namespace '{actual}' instead of '{namespace}'"
        )
    return experiment_id, actual


def default_experiment(backend: Backend) -> str:
    """Return the id of the experiment `Default`, which is made again where it is missing."""
    known = backend.store.meta("default_experiment")
    if known:
        return known
    experiment_id = insert(
        backend, "Default", "All runs created without specifying an experiment will be grouped here."
    )
    backend.store.set_meta("default_experiment", experiment_id)
    return experiment_id


def insert(backend: Backend, name: str, description: str, namespace: str = "") -> str:
    """Insert an experiment and return its id.

    Raises:
        sqlite3.IntegrityError: the name is taken.

    """
    experiment_id = backend.new_id()
    tenant = backend.access.namespace(namespace)
    backend.store.write(
        "INSERT INTO experiments (id, tenant, namespace, name, description, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        (experiment_id, tenant, namespace, name, description, backend.seconds()),
    )
    return experiment_id
