"""UIDs without identity: a keyed hash of each, the same in every job of a cohort."""

from __future__ import annotations

import re
from functools import cache

from pydicom._uid_dict import UID_dictionary

from osteorad.cohort.pseudonyms import keyed

# the standard's root with short components: SOP classes newer than the dictionary, but no room for a date
STANDARD = re.compile(r"1\.2\.840\.10008(\.\d{1,4}){2,9}")


def is_well_known(uid: str) -> bool:
    """True for UIDs that the DICOM standard itself registers (SOP classes, transfer syntaxes, coding schemes, ...)."""
    return uid in UID_dictionary or STANDARD.fullmatch(uid) is not None


def map_uid(key: bytes, uid: str) -> str:
    """`2.25.` and the first 128 bits of HMAC-SHA256 over the UID, as a decimal: at most 44 characters.

    Well-known and empty UIDs stay. No state: every job with the same key agrees, so that references still resolve.
    """
    if not uid or is_well_known(uid):
        return uid
    return _mapped(key, uid)


@cache
def _mapped(key: bytes, uid: str) -> str:
    return f"2.25.{int.from_bytes(keyed(key, 'uid', uid)[:16], 'big')}"
