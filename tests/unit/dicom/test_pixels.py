"""Stored values: bits, signs, padding, lengths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osteorad.dicom.headers import PixelFormat, read_frames
from osteorad.dicom.pixels import clean_bits, find_padding, read_plane
from osteorad.dicom.stack import build_stack
from osteorad.dicom.volume import convert_ct
from osteorad.errors import SetAside
from tests.unit.dicom.dicom_build import body, ct_series


def form(**values: object) -> PixelFormat:
    usual: dict[str, object] = {
        **{"transfer_syntax": "", "frames": 1, "rows": 1, "columns": 1, "samples": 1, "photometric": "MONOCHROME2"},
        **{"bits_allocated": 16, "bits_stored": 12, "high_bit": 11, "signed": False},
        **{"padding": None, "padding_limit": None, "offset": 0, "lossy": False},
    }
    return PixelFormat(**{**usual, **values})  # type: ignore[arg-type]


@given(st.integers(1, 16), st.integers(0, 15), st.booleans(), st.data())
def test_only_bits_up_to_the_high_bit_count(stored, shift, signed, data):
    high = min(stored - 1 + shift, 15)
    low, top = (-(1 << (stored - 1)), (1 << (stored - 1)) - 1) if signed else (0, (1 << stored) - 1)
    values = np.array(data.draw(st.lists(st.integers(low, top), min_size=1, max_size=5)))
    dirt = np.array(data.draw(st.lists(st.integers(0, 65535), min_size=len(values), max_size=len(values))))
    mask = ((1 << stored) - 1) << (high + 1 - stored)
    raw = (((values << (high + 1 - stored)) & mask) | (dirt & ~mask & 0xFFFF)).astype(np.uint16)
    found = clean_bits(raw, form(bits_stored=stored, high_bit=high, signed=signed))
    np.testing.assert_array_equal(found, values)


def test_padding_is_found_whatever_its_sign():
    raw = np.array([[0xF830, 100, 0x0830]], np.uint16)  # -2000 in 16 bits, and its low 12 bits
    assert find_padding(raw, form()) is None
    unsigned = form(padding=-2000 % 65536)
    np.testing.assert_array_equal(find_padding(raw, unsigned), [[True, False, False]])
    signed = form(padding=-2000 % 65536, signed=True)
    np.testing.assert_array_equal(find_padding(raw, signed), [[True, False, True]])
    whole = form(padding=-2000 % 65536, signed=True, bits_stored=16, high_bit=15)
    np.testing.assert_array_equal(find_padding(raw, whole), [[True, False, False]])


def test_padding_range():
    raw = np.array([[0, 5, 10, 11]], np.uint16)
    np.testing.assert_array_equal(find_padding(raw, form(padding=10, padding_limit=5)), [[False, True, True, False]])


def volume(folder: Path) -> np.ndarray:
    frames = [frame for path in sorted(folder.iterdir()) for frame in read_frames(path)]
    return convert_ct(build_stack(frames)).volume.array.transpose(2, 1, 0)


def restored(bits: int, stored: int, signed: bool, slope: int = 1, intercept: int = -1024):
    """Edit that stores the HU of a built CT in another way."""

    def edit(ds: pydicom.Dataset) -> None:
        hu = np.frombuffer(ds.PixelData, np.uint16).astype(np.int64).reshape(ds.Rows, ds.Columns) - 1024
        values = (hu - intercept) // slope
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, stored, stored - 1, int(signed)
        ds.RescaleSlope, ds.RescaleIntercept = str(slope), str(intercept)
        ds.PixelData = values.astype(f"<{'i' if signed else 'u'}{bits // 8}").tobytes()

    return edit


@pytest.mark.parametrize(
    ("bits", "stored", "signed", "intercept"),
    [(16, 12, False, -1024), (16, 16, True, 0), (16, 12, True, 0), (32, 32, True, 0), (32, 20, False, -1024)],
)
def test_hu_is_the_same_however_it_is_stored(tmp_path, bits, stored, signed, intercept):
    ct_series(tmp_path, edit=restored(bits, stored, signed, intercept=intercept))
    found = volume(tmp_path)
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, body())


def test_eight_bits(tmp_path):
    hu = body() // 8 * 8
    ct_series(tmp_path, hu, edit=restored(8, 8, False, slope=8))
    np.testing.assert_array_equal(volume(tmp_path), hu)


def test_fractional_slope_gives_float(tmp_path):
    def edit(ds: pydicom.Dataset) -> None:
        values = np.frombuffer(ds.PixelData, np.uint16).astype(np.int64) * 2
        ds.BitsStored, ds.HighBit, ds.RescaleSlope = 16, 15, "0.5"
        ds.PixelData = values.astype(np.uint16).tobytes()

    ct_series(tmp_path, edit=edit)
    found = volume(tmp_path)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, body())


def test_values_beyond_int16_give_float(tmp_path):
    def edit(ds: pydicom.Dataset) -> None:
        values = np.frombuffer(ds.PixelData, np.uint16).copy()
        values[0] = 40000
        ds.BitsStored, ds.HighBit = 16, 15
        ds.PixelData = values.tobytes()

    ct_series(tmp_path, edit=edit)
    found = volume(tmp_path)
    assert found.dtype == np.float32
    assert found[0, 0, 0] == 40000 - 1024
    np.testing.assert_array_equal(found[:, 1:], body()[:, 1:])


def test_padding_becomes_air(tmp_path):
    def edit(ds: pydicom.Dataset) -> None:
        values = np.frombuffer(ds.PixelData, np.uint16).copy()
        values[:5] = 63536
        ds.PixelPaddingValue = 63536
        ds.PixelData = values.tobytes()

    ct_series(tmp_path, edit=edit)
    found = volume(tmp_path)
    assert np.all(found[:, 0, :5] == -1024)  # without the padding value its low bits would be +1072 HU
    np.testing.assert_array_equal(found[:, 1:], body()[:, 1:])


def test_monochrome1_changes_nothing(tmp_path):
    ct_series(tmp_path, edit=lambda ds: setattr(ds, "PhotometricInterpretation", "MONOCHROME1"))
    np.testing.assert_array_equal(volume(tmp_path), body())


@pytest.mark.parametrize("syntax", [pydicom.uid.RLELossless, pydicom.uid.JPEGLSLossless, pydicom.uid.JPEG2000Lossless])
@pytest.mark.parametrize("cut", [10, 200])
def test_compressed_file_that_ends_early(tmp_path, syntax, cut):
    hu = body((3, 80, 80))
    path = ct_series(tmp_path, hu)[0]
    ds = pydicom.dcmread(path)
    ds.compress(syntax, generate_instance_uid=False)
    ds.save_as(path)
    np.testing.assert_array_equal(read_plane(read_frames(path)[0]).values, hu[0] + 1024)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(SetAside, match="pixel_data_truncated"):
        read_plane(read_frames(path)[0])


def test_float_pixels_are_refused(tmp_path):
    path = ct_series(tmp_path)[0]
    ds = pydicom.dcmread(path)
    ds.FloatPixelData = np.zeros(ds.Rows * ds.Columns, np.float32).tobytes()
    del ds.PixelData
    ds.save_as(path)
    with pytest.raises(SetAside, match="pixel_data_undecodable"):
        read_plane(read_frames(path)[0])


@pytest.mark.parametrize(("name", "value"), [("BitsStored", 17), ("HighBit", 5), ("SamplesPerPixel", 3)])
def test_impossible_formats_are_refused(tmp_path, name, value):
    path = ct_series(tmp_path, edit=lambda ds: setattr(ds, name, value))[0]
    with pytest.raises(SetAside, match=r"pixel_data_undecodable|palette_unsupported"):
        read_plane(read_frames(path)[0])


def test_multiframe_that_is_too_short(shared_data, tmp_path):
    source = shared_data("ingest/enhanced/ect_supplemental_crop64.dcm")
    copy = tmp_path / "cut.dcm"
    copy.write_bytes(source.read_bytes()[:-100])
    frames = read_frames(copy)
    read_plane(frames[0])
    with pytest.raises(SetAside, match="pixel_data_truncated"):
        read_plane(frames[1])
