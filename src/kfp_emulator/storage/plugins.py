"""What the MLflow plugin of a default 2.17.0 leaves on runs: its configuration names a missing certificate."""

from __future__ import annotations

from typing import Any


def _failed(message: str) -> dict[str, Any]:
    return {
        "mlflow": {
            "entries": {"experiment_name": {"value": "KFP-Default"}},
            "state": "PLUGIN_FAILED",
            "state_message": message,
        }
    }


_CERTIFICATE = "/etc/mlflow-tracking-ca/ca.crt"
AT_CREATION = _failed(
    f'failed to build MLflow request context: failed to read plugins.mlflow.tls.caBundlePath "{_CERTIFICATE}": '
    f"open {_CERTIFICATE}: no such file or directory"
)
AT_THE_END = _failed("MLflow terminal sync skipped: missing parent root_run_id in plugins_output.mlflow")
AT_A_RETRY = _failed("MLflow retry sync skipped: missing parent root_run_id in plugins_output.mlflow")
