"""Writing that is atomic and gives the same bytes for the same content.

Every file appears under its final name only when it is whole: a temporary file in the same folder, fsync, rename.
No writer here stores a clock, a host name or a path. Light: pyarrow is loaded by the functions that need it.
"""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def write_bytes(path: str | Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write `content` under `path` atomically; parents are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_text(path: str | Path, text: str, *, mode: int = 0o644) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode(), mode=mode)


def write_text_if_changed(path: str | Path, text: str, *, mode: int = 0o644) -> bool:
    """Write only when the text differs, so that the time of an unchanged file stays; True when written."""
    path = Path(path)
    if path.exists() and path.read_bytes() == text.encode():
        return False
    write_text(path, text, mode=mode)
    return True


def json_text(value: Any) -> str:
    """JSON with sorted keys and a final newline; NaN is refused (use None), so that every reader can load it."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as deterministic JSON."""
    write_text(path, json_text(value))


def read_json(path: str | Path) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def table_from_rows(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Arrow table of `rows` under `schema`; a row with an unknown column raises KeyError."""
    import pyarrow as pa

    known = set(schema.names)
    for row in rows:
        if extra := set(row) - known:
            raise KeyError(f"columns {sorted(extra)} are not in the schema")
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)


def write_parquet(path: str | Path, table: pa.Table) -> None:
    """Write a table with zstd, without pandas metadata; field and schema metadata are kept."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", version="2.6", use_dictionary=True, write_statistics=True)
    write_bytes(path, sink.getvalue())


def read_parquet(path: str | Path, *, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a Parquet file into an Arrow table, single-threaded."""
    import pyarrow.parquet as pq

    return pq.read_table(path, columns=list(columns) if columns is not None else None, use_threads=False)


def write_csv(path: str | Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a CSV for spreadsheets: a cell stays on its line, and none acts as a formula."""
    write_text(path, _separated(header, rows, ","))


def tsv_text(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Text of a TSV for spreadsheets, made as `write_csv` makes its file."""
    return _separated(header, rows, "\t")


def _separated(header: Sequence[str], rows: Sequence[Sequence[Any]], mark: str) -> str:
    sink = io.StringIO()
    writer = csv.writer(sink, delimiter=mark, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([inert(cell) for cell in row])
    return sink.getvalue()


def inert(cell: Any) -> Any:
    """A cell of one line that no spreadsheet takes for a formula; `cohort.tables` takes the apostrophe away again."""
    if not isinstance(cell, str):
        return "" if cell is None else cell
    line = " ".join(cell.split())
    return "'" + line if line[:1] in ("=", "+", "-", "@") else line
