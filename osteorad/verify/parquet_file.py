"""Parquet: metadata, names, and all values that are text, dates or whole numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from osteorad.verify.openers import Fields, Piece, base64_runs

TOGETHER = 256  # columns that are read at once
LEAST = 1e5  # whole numbers below have fewer digits than any value that is looked for


def open_parquet(stream: BinaryIO) -> Iterator[Piece]:
    """Metadata of file, schema and columns, column names, and values by row group and column."""
    file = pq.ParquetFile(stream)
    schema = file.schema_arrow
    told = {**(file.metadata.metadata or {}), **(schema.metadata or {})}
    notes = [(f"metadata {key.decode(errors='replace')}", key + b" " + value) for key, value in told.items()]
    for number, column in enumerate(schema):
        notes.append((f"name of column {number}", column.name.encode()))
        notes += [(f"metadata of column {column.name}", k + b" " + v) for k, v in (column.metadata or {}).items()]
    yield Fields(fields=notes)
    for _, value in notes:
        yield from base64_runs(value)
    for group in range(file.num_row_groups):
        for low in range(0, len(schema.names), TOGETHER):
            table = file.read_row_group(group, columns=schema.names[low : low + TOGETHER])
            found = {name: _texts(column) for name, column in zip(table.column_names, table.columns, strict=True)}
            yield Fields(fields=[(f"column {name}", text) for name, texts in found.items() for text in texts])
            yield from base64_runs(b"\n".join(t for texts in found.values() for t in texts if len(t) >= 16))


def _texts(column: pa.ChunkedArray) -> list[bytes]:
    """Values of a column as text, each once; none for numbers that are too small to be looked for."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_integer(kind):
        numbers = column.cast(pa.float64(), safe=False).drop_null().to_numpy()
        whole = np.unique(numbers[(np.abs(numbers) >= LEAST) & (np.abs(numbers) < 1e18) & (np.mod(numbers, 1) == 0)])
        return [str(int(number)).encode() for number in whole]
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return []
    if pa.types.is_nested(kind):
        return [str(value).encode() for value in column.to_pylist() if value is not None]
    return [_bytes(value) for value in pc.unique(column).to_pylist() if value is not None]


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
