"""What made the features of a samples table: preset, its hash, versions; never whose they are.

The table carries the facts of the feature tables in its metadata, and with them the names of the patients' files; a
bundle leaves the house, so it takes only what stands here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

FACTS = b"osteorad"  # of the file metadata; a test holds it equal to the radiomics room's
TOLD = ("preset", "preset_hash", "software")
IDENTITY = ("preset", "preset_hash")  # what has to be the same elsewhere; versions may move on


def extractor_of(samples: pa.Table) -> dict[str, Any]:
    """Preset, its hash and versions, from the metadata of a samples table; empty texts where none are told."""
    raw = (samples.schema.metadata or {}).get(FACTS, b"{}")
    facts = json.loads(raw)
    return {name: facts.get(name, {} if name == "software" else "") for name in TOLD}


def extractor_text(extractor: Mapping[str, Any]) -> str:
    """Preset and hash in one short text."""
    return f"preset {extractor['preset'] or 'unknown'} ({extractor['preset_hash'][:12] or 'no hash'})"
