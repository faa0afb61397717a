"""Contract 1: identity exists only in the source and under private/."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pydicom
import pytest

from osteorad.files import read_json
from osteorad.verify.cohorts import verify
from tests.conftest import ROOT
from tests.unit.verify.containers import files

PIXEL_DATA = b"\xe0\x7f\x10\x00"


def planted(run: Path) -> list[str]:
    """Every identity that the generator wrote into DICOM and tables of this run."""
    manifests = (run / "private/small/source").glob("*/manifest.json")
    return sorted({text for path in manifests for text in read_json(path)["planted"] if len(text) > 3})


def encoded(word: str) -> list[bytes]:
    """A word as tables and DICOM may hold it."""
    return sorted({word.encode("utf-8"), word.encode("latin-1", errors="replace")})


def searchable(path: Path) -> bytes:
    """What of a file can hold words: all of it, but of images the header and the tail."""
    raw = path.read_bytes()
    if path.suffix == ".dcm":
        return raw[: raw.find(PIXEL_DATA) + 64] + raw[-4096:] if PIXEL_DATA in raw else raw
    if path.suffix == ".gz":
        return gzip.decompress(raw)[:2048]
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        words = [str(v) for c in table.columns if str(c.type) == "string" for v in set(c.to_pylist())]
        return "\n".join([*table.column_names, str(table.schema.metadata), *words]).encode()
    return raw


def leaks(folder: Path, words: list[str]) -> Iterator[str]:
    """Files outside private/ whose name or content holds a planted word."""
    needles = [raw for word in words for raw in encoded(word)]
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and "private" not in p.relative_to(folder).parts):
        content = searchable(path) + str(path.relative_to(folder)).encode()
        if any(needle in content for needle in needles):
            yield str(path.relative_to(folder))


def test_no_planted_identity_outside_private(run):
    words = planted(run)
    assert len(words) >= 120
    assert list(leaks(run, words)) == []


@pytest.mark.parametrize("place", ["log", "dicom", "json", "name"])
def test_a_planted_word_is_found(run, tmp_path, place):
    word = planted(run)[0]
    source = next((run / "results/cohorts/small/dicom").rglob("*.dcm"))
    match place:
        case "log":
            (tmp_path / "a.log").write_text(f"read {word}")
        case "dicom":
            data = pydicom.dcmread(source)
            data.StudyDescription = word
            data.save_as(tmp_path / "a.dcm")
        case "json":
            (tmp_path / "a.json").write_text('{"x": "' + word + '"}')
        case "name":
            shutil.copy(source, tmp_path / f"{word}.dcm".replace("/", "_"))
            word = word.replace("/", "_")
    assert len(list(leaks(tmp_path, [word]))) == 1


def test_the_planted_words_are_in_the_source(run):
    """The search would find them: otherwise the test above could not fail."""
    files = [p for p in (run / "private/small/source").rglob("*") if p.is_file() and p.name != "manifest.json"]
    text = b"".join(searchable(p) if p.suffix not in (".nrrd",) else b"" for p in files)
    missing = [word for word in planted(run) if not any(raw in text for raw in encoded(word))]
    assert missing == []


def test_patients_are_pseudonyms_everywhere(run):
    for folder in ("dicom", "images", "masks/manual", "pages"):
        names = {p.stem for p in (run / "results/cohorts/small" / folder).iterdir()}
        assert names
        assert all(re.fullmatch(r"p[0-9a-f]{12}", name) for name in names)


def originals(run: Path) -> dict[str, list[Path]]:
    source = run / "private/small/source"
    return {"exports": [source], "tables": [source / "clinical.tsv", source / "lesions.tsv"]}


def test_scanner_finds_no_identity_outside_private(run):
    report = verify(run, ROOT)
    assert report.hits == []
    assert report.missed == []
    assert report.left_out == ["private"]
    assert report.opened["dicom"] > 1000
    assert report.opened["nifti"] > 100


def test_scanner_looks_for_every_planted_identity(run, tmp_path):
    words = planted(run)
    for number, word in enumerate(words):
        (tmp_path / f"{number}").write_text(word, encoding="utf-8")
    found = {hit.file for hit in verify(tmp_path, ROOT, **originals(run)).hits}
    assert [word for number, word in enumerate(words) if str(number) not in found] == []


def test_scanner_finds_a_planted_identity_in_each_kind_of_container(run, tmp_path):
    table = originals(run)["tables"][0].read_text(encoding="utf-8").splitlines()
    kinds = files(table[6].split("\t")[0])
    for number, content in enumerate(kinds.values()):
        (tmp_path / f"{number}").write_bytes(content)
    report = verify(tmp_path, ROOT, **originals(run))
    found = {hit.file for hit in report.hits if hit.kind == "PatientID"}
    assert [kind for number, kind in enumerate(kinds) if str(number) not in found] == []
