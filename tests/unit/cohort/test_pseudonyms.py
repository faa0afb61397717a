"""Keys and names."""

from __future__ import annotations

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osteorad.cohort import pseudonyms
from osteorad.errors import UserError


def test_key_is_made_once_and_kept_private(tmp_path):
    path = tmp_path / "private/key"
    pseudonyms.make_key(path)
    first = pseudonyms.read_key(path)
    pseudonyms.make_key(path)
    assert pseudonyms.read_key(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (b"k" * 31, 0o600, "found 31 bytes, wanted 32"),
        (b"k" * 32, 0o644, "readable by others"),
        (pseudonyms.PHANTOM_KEY, 0o600, "public key of the phantom cohorts"),
    ],
)
def test_unusable_keys_are_refused(tmp_path, content, mode, message):
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(UserError, match=message):
        pseudonyms.read_key(path)


def test_missing_key_is_refused(tmp_path):
    with pytest.raises(UserError, match="missing"):
        pseudonyms.read_key(tmp_path / "key")


@given(st.text(), st.text())
def test_different_ids_have_different_names(a, b):
    key = b"k" * 32
    same = a.strip() == b.strip()
    assert (pseudonyms.patient_pseudonym(key, a) == pseudonyms.patient_pseudonym(key, b)) == same


def test_another_key_gives_other_names():
    a, b = (pseudonyms.patient_pseudonym(k * 32, "MRN-1") for k in (b"a", b"b"))
    assert a != b
    assert pseudonyms.key_check(b"a" * 32) != pseudonyms.key_check(b"b" * 32)
