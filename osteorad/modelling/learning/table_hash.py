"""Hash of a table's content."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from osteorad.files import json_text
from osteorad.provenance import digest, sha256_bytes


def table_hash(table: pa.Table) -> str:
    """Hash of a table's columns and values, whatever the file or its chunks."""
    parts = []
    for name in table.column_names:
        if pa.types.is_floating(table.schema.field(name).type):
            values = np.array(table[name].to_numpy(), dtype="<f8")
            values[np.isnan(values)] = np.nan
            parts.append([name, sha256_bytes(values.tobytes())])
        else:
            parts.append([name, sha256_bytes(json_text(table[name].to_pylist()).encode())])
    return digest(parts, 32)
