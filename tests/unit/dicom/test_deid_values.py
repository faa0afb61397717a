"""Values and UIDs one by one: properties that must hold for any input."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteorad.dicom import values
from osteorad.dicom.elements import read_dicom
from osteorad.dicom.uids import is_well_known, map_uid
from tests.unit.dicom.deid_build import KEY, image, outputs, reasons, rtstruct, run, save

PARTS = st.lists(st.integers(0, 10**10), min_size=3, max_size=12)
UIDS = PARTS.map(lambda parts: ".".join(map(str, [1, 2, *parts]))).filter(
    lambda u: len(u) <= 64 and not is_well_known(u)
)
DAYS = st.dates(date(1905, 1, 1), date(2100, 12, 31))


@given(UIDS, st.binary(min_size=32, max_size=32))
def test_mapped_uids_are_valid_and_tell_nothing(uid, key):
    mapped = map_uid(key, uid)
    assert re.fullmatch(r"2\.25\.(0|[1-9][0-9]*)", mapped)
    assert len(mapped) <= 44
    assert mapped == map_uid(key, uid)
    assert mapped != map_uid(bytes(32), uid) or key == bytes(32)
    assert mapped != uid


@given(st.sets(UIDS, min_size=2, max_size=5))
def test_different_uids_stay_different(uids):
    assert len({map_uid(KEY, u) for u in uids}) == len(uids)


@pytest.mark.parametrize(
    "uid", ["1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.66.7", "1.2.840.10008.1.4.1.1"]
)
def test_uids_of_the_standard_stay(uid):
    assert map_uid(KEY, uid) == uid


@pytest.mark.parametrize(
    "uid", ["1.2.840.10008.5.1.19601231", "1.2.840.10008", "1.2.840.100089.1.2", "1.2.840.10008.x.1"]
)
def test_uids_that_only_look_like_the_standard_s_are_mapped(uid):
    assert map_uid(KEY, uid).startswith("2.25.")


def test_an_empty_uid_stays_empty():
    assert map_uid(KEY, "") == ""


@given(DAYS, DAYS, st.integers(53, 1043))
def test_intervals_and_weekdays_survive(first, second, weeks):
    def moved(day: date) -> date:
        text = values.shifted_dates(f"{day:%Y%m%d}".encode(), -7 * weeks).decode()
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))

    assert moved(first) - moved(second) == first - second
    assert moved(first).weekday() == first.weekday()
    assert moved(first) == first - timedelta(weeks=weeks)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"20240229", b"20240222"),
        (b"20240229 ", b"20240222"),
        (b"2024.02.29", b"20240222"),
        (b"20240229\\20240301", b"20240222\\20240223"),
        (b"", b""),
        (b"20240229\0X", b"20240222"),
        (b"20230229", None),
        (b"2024", None),
        (b"29.02.2024", None),
        (b"00010101", None),
        (b"MAIER", None),
        (b"20240229\\MAIER", None),
    ],
)
def test_dates(before, after):
    assert values.shifted_dates(before, -7) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"20240301101500.123456+0100", b"20240223101500.123456+0100"),
        (b"20240301", b"20240223"),
        (b"2024030110", b"2024022310"),
        (b"", b""),
        (b"202403", None),
        (b"20240301101500MAIER", None),
        (b"2024030110150012345678", None),
    ],
)
def test_moments(before, after):
    assert values.shifted_moments(before, -7) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"089Y", b"089Y"),
        (b"090Y", b"090Y"),
        (b"094Y", b"090Y"),
        (b"107Y ", b"090Y"),
        (b"999M", b"999M"),  # 83 years
        (b"999W", b"999W"),
        (b"005D", b"005D"),
        (b"", b""),
        (b"94", None),
        (b"94Y", None),
        (b"0094Y", None),
    ],
)
def test_ages(before, after):
    assert values.age(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"101500", b"101500"),
        (b"10:15:00.5", b"10:15:00.5"),
        (b"101500.0000000", b"101500.0000000"),
        (b"10", b"10"),
        (b"", b""),
        (b"01761234567", None),
        (b"10-15", None),
    ],
)
def test_times(before, after):
    assert values.times(before) == after


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    return {
        "images": save(image(PatientComments="QQ1"), folder / "ct.dcm").read_bytes(),
        "contours": save(rtstruct({1: "GTV"}), folder / "rs.dcm").read_bytes(),
    }


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_no_damage_makes_a_run_fail_or_leak(originals, tmp_path_factory, data):
    """Bytes cut, changed, inserted anywhere: a row or a clean output, never an exception."""
    raw = bytearray(originals[data.draw(st.sampled_from(sorted(originals)))])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        what = data.draw(st.sampled_from(["change", "cut", "insert", "drop"]))
        if what == "change":
            raw[at] = data.draw(st.integers(0, 255))
        elif what == "cut" and at > 140:
            del raw[at:]
        elif what == "insert":
            raw[at:at] = data.draw(st.binary(max_size=12))
        elif what == "drop":
            del raw[at : at + data.draw(st.integers(1, 12))]
    read_dicom(bytes(raw))
    work = tmp_path_factory.mktemp("damaged")
    (work / "x.dcm").write_bytes(bytes(raw))
    results = [run([work / "x.dcm"], work, part) for part in ("images", "contours")]
    assert sum(len(r["files"]) + len(r["set_aside"]) for r in results) == 1
    for result in results:
        assert set(reasons(result)) <= {
            "not_dicom",
            "dicom_unreadable",
            "identity_missing",
            "modality_unsupported",
            "pixel_data_truncated",
            "identity_left",
            "deidentification_failed",
            "screen_save",
            "palette_unsupported",
        }
        for path in outputs(result):
            assert b"QQ" not in path.read_bytes()
            assert b"uastenflosser" not in path.read_bytes()


def test_texts_of_megabytes_cost_little():
    """Only so much of a description is looked at as could stay of it."""
    looked_at = []

    class Counting(values.Vocabulary):
        def clean(self, text: str, own: frozenset[str] = frozenset()) -> str:
            looked_at.append(len(text))
            return "chest"

    vocabulary = Counting(words=frozenset({"chest"}), patterns=())
    assert values.clean_words(["chest " * 2_000_000], vocabulary, frozenset(), 64) == b"chest"
    assert looked_at == [64 * values.LONGER]
