"""The scheduler's time slice of the threads that generate a load: how soon they get a CPU that others use.

A thread that wakes waits until the one that runs has used its slice, 1.4 ms on two cores, unless its own slice is
shorter. Linux has slices of single threads from 6.12 on: `sched_runtime` in `sched_setattr(2)`, 0.1 to 100 ms, for
which no privileges are needed. Elsewhere nothing is changed.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from typing import Self

#: The shortest slice that Linux has. On two cores, which a display and the collector of evidence use too, starts
#: were 1.9 ms late (p99) with the kernel's slice, and 1.4 ms with this.
SLICE_SECONDS = 1e-4
#: The numbers of `sched_setattr` and `sched_getattr`, by machine.
_CALLS = {"x86_64": (314, 315), "aarch64": (274, 275)}


class _Attributes(ctypes.Structure):
    """`struct sched_attr` in its first version."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


_library = ctypes.CDLL(None) if sys.platform == "linux" else None
_calls = _CALLS.get(platform.machine())


def _attributes() -> _Attributes | None:
    """Those of the calling thread; None where they cannot be read, or it has no ordinary policy."""
    found = _Attributes()
    size = ctypes.sizeof(found)
    if _library is None or _calls is None or _library.syscall(_calls[1], 0, ctypes.byref(found), size, 0):
        return None
    return found if found.policy == 0 else None


def time_slice() -> float | None:
    """The slice of the calling thread in seconds; None where it is not known."""
    found = _attributes()
    return found.runtime / 1e9 if found is not None and found.runtime else None


class ShortTimeSlice:
    """Gives the calling thread, and those that it starts inside the context, the shortest slice."""

    def __enter__(self) -> Self:
        self._before = _attributes()
        if self._before is not None:
            _set(self._before, round(SLICE_SECONDS * 1e9))
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            _set(self._before, self._before.runtime)


def _set(attributes: _Attributes, nanoseconds: int) -> None:
    """Set the slice of the calling thread, which may fail: a sandbox may refuse it."""
    changed = _Attributes.from_buffer_copy(attributes)
    changed.size, changed.runtime = ctypes.sizeof(changed), nanoseconds
    if _library is not None and _calls is not None:
        _library.syscall(_calls[0], 0, ctypes.byref(changed), 0)
