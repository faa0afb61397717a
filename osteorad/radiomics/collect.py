"""One feature table of a cohort from the tables of its patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from osteorad.cohort import schemas
from osteorad.cohort.verdicts import BY_READER, LeftOut, Verdicts, left_out_of
from osteorad.errors import UserError
from osteorad.files import read_json, read_parquet, table_from_rows, write_parquet
from osteorad.provenance import digest
from osteorad.radiomics.presets import load_preset
from osteorad.radiomics.tables import KEY_ORDER, feature_schema, read_facts, with_facts
from osteorad.reasons import reason

FUSED_OF = ("ct", "pet")  # the contour is that of the first
REASON_ORDER = [(name, "ascending") for name in schemas.REASONS.names]


def one_preset(facts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Facts that hold for all tables (name -> facts): those of the first, inputs shortened to a digest a table.

    UserError where settings or versions differ: tables of two presets must never be mixed.
    """
    seen: dict[str, str] = {}
    for name, table in facts.items():
        seen.setdefault(f"preset {table.get('preset')} {table.get('preset_hash')}, {table.get('software')}", name)
    if len(seen) > 1:
        shown = "; ".join(f"{made} (first in {name})" for made, name in seen.items())
        raise UserError(
            f"feature tables made with different settings or software cannot be put together: {shown}. "
            "Remove the older ones and run again."
        )
    first = dict(next(iter(facts.values()), {}))
    if first and load_preset(first["preset"]).hash() != first["preset_hash"]:
        raise UserError(f"preset {first['preset']} has changed since the feature tables were made. Run again.")
    return {**first, "inputs": {name: digest(table.get("inputs", {})) for name, table in sorted(facts.items())}}


def without_rejected(table: pa.Table, reasons: pa.Table, left: Mapping[str, LeftOut]) -> tuple[pa.Table, pa.Table]:
    """Both tables without rows that readers' verdicts leave out (patient -> what); each has a reason in their place."""
    names = list(schemas.FEATURE_KEYS)
    keys = table.select(names).to_pylist()
    leaves = [key["patient"] in left and _leaves(key, left[key["patient"]]) for key in keys]
    gone = [key for key, out in zip(keys, leaves, strict=True) if out]
    by_reader = {"feature_class": "all", "kind": reason(BY_READER).kind, "reason": BY_READER, "detail": ""}
    told = table_from_rows([{**key, **by_reader} for key in gone], schemas.REASONS)
    known = {tuple(key.values()) for key in gone}
    stays = [tuple(row.values()) not in known for row in reasons.select(names).to_pylist()]
    kept = table.filter(pa.array([not out for out in leaves], pa.bool_()))
    return kept, pa.concat_tables([reasons.filter(pa.array(stays, pa.bool_())), told])


def _leaves(key: Mapping[str, Any], left: LeftOut) -> bool:
    """A row leaves with its image, with an image that a fused one is made of, with its mask, and with the last mask of
    its lesion: a row that only says that nothing was drawn here says nothing then.
    """
    sources = FUSED_OF if key["image"].startswith("fused") else (key["image"],)
    drawn = {**key, "image": sources[0]}
    return (
        any(left.has_image({**key, "image": image}) for image in sources)
        or left.has_mask(drawn)
        or (key["session"], key["roi"], key["lesion"]) in left.lesions
    )


def collect(
    tables: Sequence[Path],
    reasons: Sequence[Path],
    out_table: Path,
    out_reasons: Path,
    *,
    images: Sequence[Path] = (),
    masks: Sequence[Path] = (),
    rejected: Verdicts | None = None,
) -> None:
    """Put the patients' feature tables and reasons together, sorted by key.

    tables, reasons : one file a patient, named by the patient. rejected : verdicts of readers (`verdicts.rejecting`);
    images, masks : the manifests of their patients. UserError where tables were made with different presets or
    software, or where two rows have one key.
    """
    read = {Path(path).stem: read_parquet(path) for path in sorted(tables, key=str)}
    if len(read) != len(tables):
        raise UserError("two feature tables have one file name; a table is named by its patient.")
    facts = one_preset({name: read_facts(table) for name, table in read.items()})
    schema = feature_schema(load_preset(facts["preset"])) if read else schemas.FEATURES
    whole = pa.concat_tables([table.cast(schema) for table in read.values()]) if read else schema.empty_table()
    keys = whole.select(list(schemas.FEATURE_KEYS))
    if keys.group_by(list(schemas.FEATURE_KEYS)).aggregate([]).num_rows != keys.num_rows:
        raise UserError("two rows of the feature tables have one key; is a patient's table there twice?")
    why = [read_parquet(path) for path in sorted(reasons, key=str)]
    all_reasons = pa.concat_tables(why) if why else schemas.REASONS.empty_table()
    if left := left_out_of(rejected or {}, map(read_json, images), map(read_json, masks)):
        whole, all_reasons = without_rejected(whole, all_reasons, left)
    write_parquet(out_reasons, all_reasons.sort_by(REASON_ORDER).combine_chunks())
    write_parquet(out_table, with_facts(whole.sort_by(KEY_ORDER).combine_chunks(), facts))
