"""Keys and pseudonyms (contract 1). Light: used while Snakemake builds its graph and inside jobs.

A patient is `p` and 12 hex digits of HMAC-SHA256(key, PatientID); two issuers of one ID stop the run. Sessions and
series are short hashes of the de-identified UIDs, which are themselves keyed, so that later jobs and other sites need
no key to name them.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from osteorad.errors import UserError

# Without a key the patient's id is the name of folders and files.
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

# Phantom cohorts show nobody's data, so their key is public; a real cohort that carries it is refused.
PHANTOM_KEY = hashlib.sha256(b"osteorad phantom cohorts: public key, not for real data").digest()


def keyed(key: bytes, *parts: str) -> bytes:
    """HMAC-SHA256 over parts, each with its length in front so that no two lists of parts collide."""
    text = b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in parts))
    return hmac.new(key, text, hashlib.sha256).digest()


def patient_pseudonym(key: bytes, source_patient_id: str) -> str:
    """Pseudonym of a person, the same in every job of the cohort."""
    return "p" + keyed(key, "patient", source_patient_id.strip()).hex()[:12]


def file_name(key: bytes | None, path: str) -> str:
    """Pseudonymous name of a file from its path relative to the source, with forward slashes; stable for one key.

    A plain hash for sources without key. Bytes that are no UTF-8 (old exports) are hashed by their escapes.
    """
    plain = path.encode("utf-8", "backslashreplace").decode("utf-8")
    raw = keyed(key, "file", plain) if key is not None else hashlib.sha256(plain.encode()).digest()
    return "f" + raw.hex()[:12]


def session_name(study_uid: str) -> str:
    """Name of a session from its de-identified Study Instance UID."""
    return "s" + hashlib.sha256(study_uid.encode()).hexdigest()[:8]


def series_name(series_uid: str) -> str:
    """Name of a series from its de-identified Series Instance UID."""
    return "e" + hashlib.sha256(series_uid.encode()).hexdigest()[:8]


def phantom_patient_ids(seed: int, patients: int) -> list[str]:
    """PatientIDs, as a hospital would write them, of a phantom cohort."""
    return [f"MRN-{seed:02d}-{number:05d}" for number in range(1, patients + 1)]


def read_key(path: str | Path) -> bytes:
    """The 32-byte key of a cohort; UserError where missing, malformed, readable by others, or the phantoms' one."""
    path = Path(path)
    if not path.exists():
        raise UserError(
            f"{path}: the key is missing. It is made on the first run; results made with another key do not fit."
        )
    if path.stat().st_mode & 0o077:
        raise UserError(f"{path}: the key is readable by others. Run: chmod 600 {path}")
    key = path.read_bytes()
    if len(key) != 32:
        raise UserError(f"{path}: found {len(key)} bytes, wanted 32.")
    if key == PHANTOM_KEY:
        raise UserError(f"{path}: this is the public key of the phantom cohorts; it must not protect real data.")
    return key


def make_key(path: str | Path) -> None:
    """Make a key once, mode 0600, in a folder of mode 0700; an existing key stays."""
    path = Path(path)
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(secrets.token_bytes(32))


def key_check(key: bytes) -> str:
    """Eight hex digits that tell keys apart without telling the key."""
    return keyed(key, "key check").hex()[:8]
