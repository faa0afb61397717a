"""Parquet: metadata, names, and all values that are text, dates or whole numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from osteorad.verify.openers import Fields, Piece, base64_runs

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
        for name in schema.names:
            texts = _texts(file.read_row_group(group, columns=[name]).column(0))
            if texts:
                yield Fields(fields=[(f"column {name}", text) for text in texts])
                yield from (piece for text in texts if len(text) >= 16 for piece in base64_runs(text))


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
