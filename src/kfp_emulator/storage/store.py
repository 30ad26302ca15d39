"""The database: SQLite, in memory or in a file, called in the event loop (it answers in microseconds).

Writes join one open transaction, which the server commits before it sends any answer: so a kill at any moment
loses nothing that was answered, and a burst of reports costs one commit.
"""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_emulator.protocol.errors import internal, invalid_input
from kfp_emulator.protocol.paging import METRIC_COLUMN, ListOptions, conditions_of, page_sql
from kfp_emulator.storage.schema import COUNTED, SCHEMA_VERSION, TABLES, counting_triggers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from kfp_emulator.protocol.filters import Clause
    from kfp_emulator.protocol.listable import Listable

Row = tuple[Any, ...]

FEW_ROWS = 2000
"""So many matches at most are found by the filter's index and sorted; more are walked in the list's order."""


class StoreError(Exception):
    """The store's file cannot be used; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: its rows (without id and sort value), how many match in all, and the next token."""

    rows: list[Row]
    total_size: int
    next_page_token: str


class Store:
    """One SQLite database.

    Args:
        path: a file that is kept, or None for memory.

    Raises:
        StoreError: the file cannot be opened, is no such store, or is of another version.

    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        if path is not None and not path.absolute().parent.is_dir():
            raise StoreError(f"the store {path} cannot be used: its folder does not exist")
        try:
            self._connection = sqlite3.connect(
                ":memory:" if path is None else path, timeout=0.5, isolation_level=None, cached_statements=512
            )
        except sqlite3.Error as error:
            raise StoreError(f"the store {path} cannot be used: {error}") from None
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._connection.close()
            raise StoreError(f"the store {path} cannot be used: {error}") from None
        self.execute = self._connection.execute
        self._writing = False

    def _prepare(self) -> None:
        execute = self._connection.execute
        if self.path is None:
            execute("PRAGMA journal_mode = OFF")
        else:
            # NORMAL: what was committed survives the death of this process, though not that of the machine.
            # Two emulators on one file would overwrite each other.
            execute("PRAGMA locking_mode = EXCLUSIVE")
            execute("PRAGMA journal_mode = WAL")
            execute("PRAGMA synchronous = NORMAL")
        execute("PRAGMA cache_size = -65536")
        version: int = execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            if execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise sqlite3.DatabaseError("it is a database of something else")
            self._connection.executescript(
                f"BEGIN; {TABLES} {counting_triggers()} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
        elif version != SCHEMA_VERSION:
            raise sqlite3.DatabaseError(
                f"it has schema version {version}, and this emulator writes {SCHEMA_VERSION}"
            )

    def write(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Execute a statement that changes something, within the open transaction.

        Raises:
            sqlite3.IntegrityError: a name is taken; nothing was changed then.

        """
        if not self._writing:
            self.execute("BEGIN")
            self._writing = True
        return self.execute(sql, parameters)

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute a statement for each of many rows."""
        if not self._writing:
            self.execute("BEGIN")
            self._writing = True
        self._connection.executemany(sql, rows)

    def commit(self) -> None:
        """Make what was written durable; costs nothing where nothing was."""
        if self._writing:
            self.execute("COMMIT")
            self._writing = False

    def close(self) -> None:
        """Commit, and close the file."""
        self.commit()
        self._connection.close()

    def clear(self) -> None:
        """Delete all rows, as if the database was lost."""
        for table in (*COUNTED, "failed_nodes", "specs", "counts", "meta"):
            self.write(f"DELETE FROM {table}")  # noqa: S608  our own tables
        self.commit()

    def one(self, sql: str, *parameters: Any) -> Row | None:
        """Return the first row, or None."""
        row: Row | None = self.execute(sql, parameters).fetchone()
        return row

    def all(self, sql: str, *parameters: Any) -> list[Row]:
        """Return all rows."""
        return self.execute(sql, parameters).fetchall()

    def meta(self, key: str, default: str = "") -> str:
        """Return a stored setting."""
        row = self.one("SELECT value FROM meta WHERE key = ?", key)
        return default if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Store a setting."""
        self.write(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (key, value)
        )

    def count(self, kind: str, scope: str) -> int:
        """Return how many rows a scope holds: `runs.tenant`, `runs.experiment_id`, `versions.pipeline_id`, ..."""
        row = self.one("SELECT n FROM counts WHERE kind = ? AND scope = ?", kind, scope)
        return 0 if row is None else int(row[0])

    def total(self, table: str) -> int:
        """Return how many rows a table holds."""
        row = self.one("SELECT sum(n) FROM counts WHERE kind = ?", f"{table}.{COUNTED[table][0]}")
        return int(row[0] or 0) if row else 0

    def page(
        self,
        listable: Listable,
        options: ListOptions,
        scope_column: str,
        scope: str,
        columns: str,
        failure: str,
    ) -> Page:
        """Return one page of a list within a scope.

        Raises:
            ApiFault: 500, where a forged token names a column that does not exist (the real server's answer too);
                400, where there is another page and no token for it can be made.

        """
        try:
            conditions = conditions_of(listable, options, (f"{scope_column} = ?", [scope]))
            total = self._count(listable, conditions, scope_column, scope)
            few = len(conditions) > 1 and total <= FEW_ROWS
            sql, parameters = page_sql(listable, options, conditions, columns, few=few)
        except KeyError as error:
            raise internal(failure, f"Error 1054: Unknown column {error} in 'where clause'") from None
        rows = self.execute(sql, parameters).fetchall()
        token = ""
        if len(rows) > options.page_size:
            if options.sort_column in listable.unsortable or options.sort_column == METRIC_COLUMN:
                text = f'cannot sort by field "{options.sort_field}" on type "{listable.kind}"'
                raise invalid_input(text).wrapped(failure, failure)
            key, sort_value, *_ = rows.pop()
            token = options.token(sort_value, key)
        return Page([row[2:] for row in rows], total, token)

    def _count(self, listable: Listable, conditions: list[Clause], scope_column: str, scope: str) -> int:
        if len(conditions) == 1:
            return self.count(f"{listable.table}.{scope_column}", scope)
        where = " AND ".join(condition for condition, _ in conditions)
        values = [value for _, condition_values in conditions for value in condition_values]
        row = self.one(f"SELECT count(*) FROM {listable.table} WHERE {where}", *values)  # noqa: S608  names come from tables
        return int(row[0]) if row else 0

    def keep_spec(self, documents: list[dict[str, Any]], document: bytes) -> str:
        """Store a pipeline's IR once, whoever refers to it, and return its id.

        `documents` is what runs are made of; `document` is the JSON that the API shows.
        """
        encoded = msgspec.json.encode(documents)
        spec_id = hashlib.sha256(encoded).hexdigest()[:32]
        self.write(
            "INSERT INTO specs VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (spec_id, encoded.decode(), document)
        )
        return spec_id
