"""Feature tables (contract 4): keys, then one float64 column a feature, with Arrow metadata; and their reasons."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import pyarrow as pa

from osteorad.cohort import schemas
from osteorad.files import table_from_rows
from osteorad.radiomics.names import column_metadata
from osteorad.radiomics.presets import Preset
from osteorad.radiomics.quality import Finding
from osteorad.reasons import reason

METADATA_KEY = b"osteorad"
DISTRIBUTIONS = ("numpy", "pyradiomics-bhklab", "pywavelets", "scipy", "simpleitk")
KEY_ORDER = [(name, "ascending") for name in schemas.FEATURE_KEYS]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class RowKey:
    """Keys of a row of the feature table."""

    cohort: str
    patient: str
    session: str
    image: str
    roi: str
    lesion: int
    mask_set: str

    def columns(self) -> dict[str, Any]:
        """Column -> value."""
        return {name: getattr(self, name) for name in schemas.FEATURE_KEYS}


@cache
def software() -> dict[str, str]:
    """Distribution -> version, of everything that makes a feature's value."""
    return {name: version(name) for name in DISTRIBUTIONS}


def feature_schema(preset: Preset) -> pa.Schema:
    """Schema of a preset's table with Arrow metadata on every feature (`names.column_metadata`)."""
    fields = [
        pa.field(name, pa.float64(), metadata=column_metadata(name, images))
        for name, images in preset.columns().items()
    ]
    return pa.schema([*schemas.FEATURES, *fields])


def table_facts(preset: Preset, inputs: Mapping[str, str]) -> dict[str, Any]:
    """What a table's metadata says: preset with its hash, versions, inputs (name -> SHA-256), conventions."""
    return {
        "preset": preset.name,
        "preset_hash": preset.hash(),
        "settings": preset.images.model_dump(mode="json"),
        "assumed": preset.assumed,
        "software": software(),
        "inputs": dict(sorted(inputs.items())),
        "pixel_type": "float32 before resampling and filters",
        "units": {image: settings.units for image, settings in preset.covered().items()},
    }


def with_facts(table: pa.Table, facts: Mapping[str, Any]) -> pa.Table:
    """The table with facts as its file metadata."""
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return table.replace_schema_metadata({METADATA_KEY: text.encode()})


def read_facts(table: pa.Table | pa.Schema) -> dict[str, Any]:
    """File metadata of a feature table; empty where there is none."""
    raw = (table.schema if isinstance(table, pa.Table) else table).metadata or {}
    return json.loads(raw[METADATA_KEY]) if METADATA_KEY in raw else {}


def feature_table(rows: Iterable[tuple[RowKey, Mapping[str, float]]], preset: Preset) -> pa.Table:
    """Table of rows sorted by key; a feature without value is NaN.

    Columns are the same for every patient, whatever images there are; metadata of the columns are added when a cohort's
    table is made, because they would double the size of a patient's.
    """
    ordered = sorted(rows, key=lambda row: row[0])
    names = list(preset.columns())
    keys = table_from_rows([key.columns() for key, _ in ordered], schemas.FEATURES)
    nan = float("nan")
    features = [pa.array([values.get(name, nan) for _, values in ordered], type=pa.float64()) for name in names]
    return pa.Table.from_arrays([*keys.columns, *features], names=[*keys.column_names, *names])


def reason_table(rows: Sequence[tuple[RowKey, Finding]]) -> pa.Table:
    """Table of findings, sorted; the kind follows from the code."""
    ordered = sorted(rows, key=lambda row: (row[0], row[1].feature_class, row[1].code, row[1].detail))
    return table_from_rows(
        [
            {
                **key.columns(),
                "feature_class": finding.feature_class,
                "kind": reason(finding.code).kind,
                "reason": finding.code,
                "detail": finding.detail,
            }
            for key, finding in ordered
        ],
        schemas.REASONS,
    )
