"""The bearer token that a command prints, run again before the token expires and after a 401."""

from __future__ import annotations

import functools
import logging
import threading
import time
from concurrent.futures import Future
from pathlib import Path

from kfp_perf.errors import InputError
from kfp_perf.secret_command import run_secret_command

_log = logging.getLogger(__name__)

PAUSE_SECONDS = 10.0
"""The command is not run again sooner than this: a server that refuses every token must not start it each time."""
_EARLY_SECONDS = 60.0
_EARLY_SHARE = 0.2


class TokenCommand:
    """A command, and the token that it printed last. All clients of a process share it; see `token_command`.

    The first token is read at once, later ones by a thread, so that no request waits for the command unless it was
    refused.
    """

    def __init__(self, command: tuple[str, ...]) -> None:
        self._command = command
        self._where = f"token command ({Path(command[0]).name})"
        self._lock = threading.Lock()
        self._renewal: Future[None] | None = None
        self._next_run = 0.0
        self._renew_at = 0.0
        self.token = ""

    def start(self) -> str:
        """Return a token that has not expired; runs the command where there is none. Raises `InputError`."""
        with self._lock:
            if not self.token or time.monotonic() >= self._renew_at:
                self._run()
            return self.token

    def renew_in_time(self) -> str:
        """Return the token, and have it renewed in the background where it expires soon."""
        if time.monotonic() >= self._renew_at:
            self.renewal(self.token)
        return self.token

    def renewal(self, refused: str) -> Future[None]:
        """Return a future that is done when the token is another one than `refused`, or none could be had.

        Calls that were refused meanwhile wait for the same run of the command.
        """
        with self._lock:
            if self._renewal is not None:
                return self._renewal
            done: Future[None] = Future()
            # From now on it cannot be cancelled: a call that gives up must not end the wait of all others.
            done.set_running_or_notify_cancel()
            if self.token != refused or time.monotonic() < self._next_run:
                done.set_result(None)
                return done
            self._renewal = done
        threading.Thread(target=self._renew, args=(done,), name="token", daemon=True).start()
        return done

    def _renew(self, done: Future[None]) -> None:
        try:
            self._run()
        except InputError as error:
            _log.warning("The token could not be renewed: %s", error.problems[0].what)
        finally:
            with self._lock:
                self._renewal = None
            done.set_result(None)

    def _run(self) -> None:
        # Set beforehand, so that a failure is not repeated at once either.
        self._renew_at = self._next_run = time.monotonic() + PAUSE_SECONDS
        printed = run_secret_command(self._command, self._where)
        now = time.monotonic()
        self._next_run = now + PAUSE_SECONDS
        self.token = printed.value
        if printed.expires is None:
            self._renew_at = float("inf")
        else:
            left = printed.expires - time.time()
            self._renew_at = max(self._next_run, now + left - min(_EARLY_SECONDS, _EARLY_SHARE * left))


@functools.cache
def token_command(command: tuple[str, ...]) -> TokenCommand:
    """Return the process's one `TokenCommand` of a command: a login is not repeated for each scenario."""
    return TokenCommand(command)
