"""The checks read who has images from the index of the source."""

from __future__ import annotations

import pyarrow as pa

from osteorad.cohort.check import check_loaded
from osteorad.cohort.known import known_of
from osteorad.cohort.load import load
from osteorad.cohort.pseudonyms import make_key, patient_pseudonym, read_key
from osteorad.files import write_parquet

from .folders import clone, working


def test_index_to_pseudonyms(tmp_path):
    work = working(tmp_path / "work")
    make_key(work / "private/real/key")
    rows = [
        {"source_patient_id": "ID-01", "issuer": "", "reason": ""},
        {"source_patient_id": "ID-01", "issuer": "", "reason": ""},
        {"source_patient_id": "NEW", "issuer": "", "reason": ""},
        {"source_patient_id": "", "issuer": "", "reason": "not_dicom"},
    ]
    write_parquet(work / "private/real/index.parquet", pa.Table.from_pylist(rows))
    loaded = load(work, clone(tmp_path / "clone"))
    known = known_of(loaded)["real"]
    pseudonym = patient_pseudonym(read_key(work / "private/real/key"), "NEW")
    assert known.files == 4
    assert sorted(known.patients) == ["ID-01", "NEW"]
    assert (
        f"clinical.tsv: 1 of 2 patients with images have no row: {pseudonym}."
        in check_loaded(loaded, {"real": known}).notes
    )


def test_a_source_that_nobody_looked_through_is_unknown(tmp_path):
    loaded = load(working(tmp_path / "work"), clone(tmp_path / "clone"))
    assert known_of(loaded) == {}
    assert not (tmp_path / "work/private").exists()
