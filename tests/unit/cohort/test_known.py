"""The checks read who has images from the index of the source."""

from __future__ import annotations

from osteorad.cohort.check import check_loaded
from osteorad.cohort.known import known_of
from osteorad.cohort.load import load
from osteorad.cohort.pseudonyms import make_key, patient_pseudonym, read_key
from osteorad.files import write_json

from .folders import clone, working


def test_index_to_pseudonyms(tmp_path):
    work = working(tmp_path / "work")
    make_key(work / "private/real/key")
    key = read_key(work / "private/real/key")
    pseudonym = patient_pseudonym(key, "NEW")
    people = {"ID-01": patient_pseudonym(key, "ID-01"), "NEW": pseudonym}
    write_json(work / "private/real/known.json", {"patients": people, "files": 4})
    loaded = load(work, clone(tmp_path / "clone"))
    known = known_of(loaded)["real"]
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
