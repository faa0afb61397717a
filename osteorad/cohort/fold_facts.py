"""To which outer fold a table belongs, and what it was made from, in the metadata of its file.

A small module of its own: features, samples and models of a fold meet here, and a change elsewhere reruns none of them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import pyarrow as pa

from osteorad.files import json_text

FOLD = b"fold"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldFacts:
    """Repeat, fold, the network that drew, and SHA-256 of the masks' manifest and of the feature table (`features`,
    empty in the feature table itself).
    """

    repeat: int
    fold: int
    network: str
    masks: str
    features: str = ""

    @property
    def name(self) -> str:
        """Short name of the fold, and of its folder: r1f2."""
        return f"r{self.repeat}f{self.fold}"


def fold_facts(table: pa.Table) -> FoldFacts | None:
    """What a table says of its fold; None where it belongs to no single one."""
    raw = (table.schema.metadata or {}).get(FOLD)
    return None if raw is None else FoldFacts(**json.loads(raw))


def with_fold_facts(table: pa.Table, facts: FoldFacts) -> pa.Table:
    """The table with the facts in its metadata, beside those that it has."""
    text = json_text(asdict(facts)).encode()
    return table.replace_schema_metadata({**(table.schema.metadata or {}), FOLD: text})
