"""Pipelines of a given size, for uploads: valid IR in the compiler's layout, with as many steps as fit."""

from __future__ import annotations

from kfp_perf.scenario.quantities import MAX_SIZE_BYTES, MIN_SIZE_BYTES

_COMPONENT = """\
  comp-step-{number:05}:
    executorLabel: exec-step-{number:05}
    inputDefinitions:
      parameters:
        message:
          parameterType: STRING
"""
_EXECUTOR = """\
    exec-step-{number:05}:
      container:
        args:
        - '{{{{$.inputs.parameters[''message'']}}}}'
        command:
        - echo
        image: busybox:1.36
"""
_TASK = """\
      step-{number:05}:
        cachingOptions: {{}}
        componentRef:
          name: comp-step-{number:05}
        {dependencies}
        inputs:
          parameters:
            message:
              runtimeValue:
                constant: step
        taskInfo:
          name: step-{number:05}
"""
_HEAD, _MIDDLE, _ROOT, _TAIL = (
    "components:\n",
    "deploymentSpec:\n  executors:\n",
    "pipelineInfo:\n  name: kfp-perf-generated\nroot:\n  dag:\n    tasks:\n",
    "schemaVersion: 2.1.0\nsdkVersion: kfp-2.17.0\n",
)


def generate_pipeline(size_bytes: int) -> bytes:
    """Return a pipeline with as many steps as fit into the size, at least one, and never larger.

    The steps form a binary tree, so they run in log2(steps) layers. The same size gives the same bytes. Raises
    ValueError for a size below MIN_SIZE_BYTES or above MAX_SIZE_BYTES.
    """
    if not MIN_SIZE_BYTES <= size_bytes <= MAX_SIZE_BYTES:
        raise ValueError(f"a pipeline has {MIN_SIZE_BYTES} to {MAX_SIZE_BYTES} bytes, got {size_bytes}")
    first, second = len(_document(1)), len(_document(2))
    # Every step after the first adds the same number of bytes.
    return _document(1 + (size_bytes - first) // (second - first))


def _document(steps: int) -> bytes:
    numbers = range(1, steps + 1)
    parts = [_HEAD]
    parts += [_COMPONENT.format(number=number) for number in numbers]
    parts.append(_MIDDLE)
    parts += [_EXECUTOR.format(number=number) for number in numbers]
    parts.append(_ROOT)
    parts += [_TASK.format(number=number, dependencies=_after(number // 2)) for number in numbers]
    parts.append(_TAIL)
    return "".join(parts).encode()


def _after(number: int) -> str:
    """The steps that a step waits for; 0: none."""
    return f"dependentTasks:\n        - step-{number:05}" if number else "dependentTasks: []"
