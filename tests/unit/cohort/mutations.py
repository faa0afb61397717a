"""Damaged settings and tables: seeded mutations of a working folder as `check` sees it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl

CONFIG = """\
title: A cohort
private_dir: private
cohorts:
  real:
    title: From the hospital
    source: dicom
    path: export
    head: keep
    modalities: [CT, PT]
    rois: {marrow: ['*marrow*'], lesion: ['*lesion*', '*met*']}
    clinical:
      path: CLINICAL
      columns: {age_years: age}
      keep: [age_years, er]
    lesions:
      path: LESIONS
      words: [rib]
    series: SERIES
    exclude: {p0123456789ab: died}
    max_quarantined: 0.3
    cutoff: 2026-05-31
  made:
    source: table
    table: {path: FEATURES, outcome: outcome, covariates: [age], site: site, drop: [note]}
analyses:
  marrow:
    cohort: real
    recipe: zhu2024
    overrides:
      splits.repeats: 1
      steps.mrmr.k: [10]
      models: [logistic]
  timed: {cohort: real, recipe: zhu2024, horizon_days: 365, image_window_days: [-30, 30]}
  lesions:
    cohort: real
    recipe: zhu2024
    overrides: {unit: lesion, outcome_of: lesion, roi: lesion}
  features: {cohort: made, recipe: tabular, overrides: {controls.permutations: 5}}
"""
COUNT = 16
CLINICAL = [
    ["patient", "outcome", "age", "er", "index_date", "event_date", "last_seen", "note"],
    *(
        [f"ID-{n:02d}", str(n % 2), f"{50 + n},5", "positive" if n % 3 else "", "2024-01-10",
         "2024-06-01" if n % 2 else "", "2025-09-01", "Jane"]
        for n in range(COUNT)
    ),
]  # fmt: skip
LESIONS = [
    ["patient", "date", "roi_name", "outcome", "location", "type"],
    *([f"ID-{n:02d}", "2024-01-12", f"Met {n}", str(n % 2), "T8", "lytic"] for n in range(COUNT)),
]
SERIES = [["patient", "series", "take", "image"], ["p0123456789ab", "e01234567", "yes", "ct"]]
FEATURES = [
    ["patient", "outcome", "age", "site", "note", "shape_Volume", "glcm_Contrast"],
    *([f"P{n}", str(n % 2), str(40 + n), "north", "x", str(n / 7), f"{n}.25"] for n in range(COUNT)),
]
TABLES = {"CLINICAL": CLINICAL, "LESIONS": LESIONS, "SERIES": SERIES, "FEATURES": FEATURES}
Rows = list[list[str]]
CELLS = (
    "", " ", "\u00a0", "NA", "nan", "inf", "-inf", "1e999", "1,234", "1.234,5", "=cmd|' /C calc'!A0", "#N/A", "#REF!",
    "2024-05-31", "31.05.24", "03/04/2024", "45443", "0000-00-00", "9999-12-31", "1.0", "1E+10", "-0", "+5", "\u00bd",
    "\uff11", "\ufeff", "\u200b", "<script>alert(1)</script>", "a" * 200_000, '"', "'", "\\", "a\nb", "a\tb", "ID-03",
    "../../etc", "TRUE", "yes", "9" * 400, "\x00", "\x1b[31m", "\U0001f4a9", "\u00b2", "\u0663",
)  # fmt: skip


def as_text(rows: Rows, mark: str = "\t") -> bytes:
    return "".join(mark.join(row) + "\n" for row in rows).encode("utf-8", "surrogatepass")


def as_sheet(rows: Rows) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append([openpyxl.cell.cell.ILLEGAL_CHARACTERS_RE.sub("", cell)[:32_000] for cell in row])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def folder(where: Path, *, config: bytes | None = None, tables: dict[str, bytes] | None = None) -> Path:
    """A working folder with an empty export, settings and tables; what is not given is sound."""
    (where / "export").mkdir(parents=True, exist_ok=True)
    text = CONFIG
    for name, rows in TABLES.items():
        content = (tables or {}).get(name, as_text(rows))
        file = f"{name.lower()}.{'xlsx' if content[:2] == b'PK' else 'tsv'}"
        (where / file).write_bytes(content)
        text = text.replace(name, file)
    (where / "config.yaml").write_bytes(text.encode() if config is None else config)
    return where


# --- tables -----------------------------------------------------------------------------------------------------------


def _pick(rng: np.random.Generator, options: tuple[str, ...] | list[str]) -> str:
    return options[int(rng.integers(len(options)))]


def wrong_cells(rows: Rows, rng: np.random.Generator) -> bytes:
    changed = [list(row) for row in rows]
    for _ in range(int(rng.integers(1, 6))):
        row = changed[int(rng.integers(0, len(changed)))]
        row[int(rng.integers(len(row)))] = _pick(rng, CELLS)
    return as_text(changed, _pick(rng, ("\t", ";", ",")))


def wrong_cells_of_a_sheet(rows: Rows, rng: np.random.Generator) -> bytes:
    changed = [list(row) for row in rows]
    for _ in range(int(rng.integers(1, 6))):
        row = changed[int(rng.integers(0, len(changed)))]
        row[int(rng.integers(len(row)))] = _pick(rng, CELLS)
    return as_sheet(changed)


def broken_sheet(rows: Rows, rng: np.random.Generator) -> bytes:
    """A workbook with bytes changed, lost or cut off."""
    return b"PK" + broken_bytes(as_sheet(rows), rng)[2:]


def broken_text(rows: Rows, rng: np.random.Generator) -> bytes:
    return broken_bytes(as_text(rows), rng)


def broken_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    kind = int(rng.integers(5))
    at = int(rng.integers(0, len(content)))
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + rng.bytes(int(rng.integers(1, 60))) + content[at:]
    if kind == 2:
        return content[:at] + content[at + int(rng.integers(1, 60)) :]
    changed = bytearray(content)
    for place in rng.integers(0, len(content), size=int(rng.integers(1, 12))):
        changed[place] = int(rng.integers(256))
    return bytes(changed)


def another_encoding(rows: Rows, rng: np.random.Generator) -> bytes:
    content = as_text(rows).decode()
    name = _pick(rng, ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "utf-7", "utf-8-sig", "cp037"))
    raw = content.encode(name)
    return raw[: -int(rng.integers(0, 2)) or None]


def another_shape(rows: Rows, rng: np.random.Generator) -> bytes:
    """Columns and rows twice, lost, or in another order; other line ends."""
    changed = [list(row) for row in rows]
    kind = int(rng.integers(8))
    if kind == 0:
        for row in changed:
            row.append(row[0])
    elif kind == 1:
        for row in changed:
            row.pop(int(rng.integers(2)))
    elif kind == 2:
        changed = changed[1:]
    elif kind == 3:
        changed = [["A title"], [], *changed]
    elif kind == 4:
        changed = changed[:1]
    elif kind == 5:
        changed = changed * int(rng.integers(2, 4))
    elif kind == 6:
        changed[int(rng.integers(1, len(changed)))].append("more")
    else:
        changed = [[f" {cell}\u00a0 " for cell in row] for row in changed]
    ends = (b"\n", b"\r\n", b"\r", b"\n\r\n")
    return as_text(changed).replace(b"\n", ends[int(rng.integers(len(ends)))])


def absurd_size(rows: Rows, rng: np.random.Generator) -> bytes:
    """Ten thousand columns, a hundred thousand rows, or one endless cell."""
    kind = int(rng.integers(4))
    if kind == 0:
        return as_text([row + [f"c{n}" if at == 0 else "1" for n in range(10_000)] for at, row in enumerate(rows)])
    if kind == 1:
        return as_text([rows[0], *[[f"X{n}", *rows[1][1:]] for n in range(30_000)]])
    if kind == 2:
        return as_text(rows) + b"x" * 3_000_000
    return as_text(rows) + b'"' + b"x\n" * 500_000


TABLE_MUTATIONS: tuple[Callable[[Rows, np.random.Generator], bytes], ...] = (
    wrong_cells, wrong_cells, wrong_cells, wrong_cells_of_a_sheet, wrong_cells_of_a_sheet, broken_sheet, broken_sheet,
    broken_text, broken_text, another_encoding, another_shape, another_shape, absurd_size,
)  # fmt: skip


# --- settings ---------------------------------------------------------------------------------------------------------

VALUES = (
    "", "null", "true", "[]", "{}", "[[[]]]", "0", "-1", "1e999", "-1e999", ".inf", "9" * 500, "1" * 5000, "0x1F",
    "2026-05-31", "'../..'", '"\\0"', '"\\ud800"', "!!python/object/apply:os.system ['true']", "!!binary aGk=",
    "!!set {a, b}", "*nowhere", "&a [*a]", "&b {<<: *b}", "'a\tb'", "\t", "{a: {b: {c: {d: 1}}}}", "[1, 2, 3]",
    "'" + "x" * 5000 + "'", "1_000", "yes", "/", "/dev/null", "/dev/zero", "'<script>alert(1)</script>'", "=cmd", "@x",
    "`x`", "%x", "? x", "- x", ": x", "|", ">", "'\U0001f4a9'", "1000000000000", "real", "made", "zhu2024", "tabular",
)  # fmt: skip


def wrong_value(text: str, rng: np.random.Generator) -> bytes:
    """Another value behind a key."""
    lines = text.splitlines()
    for _ in range(int(rng.integers(1, 3))):
        at = int(rng.integers(len(lines)))
        key, mark, _ = lines[at].partition(":")
        lines[at] = f"{key}{mark} {_pick(rng, VALUES)}"
    return "\n".join(lines).encode("utf-8", "surrogatepass") + b"\n"


def wrong_part(text: str, rng: np.random.Generator) -> bytes:
    """A value within a line replaced by another."""
    words = ("real", "dicom", "CT", "'*marrow*'", "age_years", "age", "p0123456789ab", "died", "0.3",
                               "2026-05-31", "table", "outcome", "1", "10", "logistic", "365", "-30", "lesion", "5",
                               "zhu2024", "marrow", "made")  # fmt: skip
    for _ in range(int(rng.integers(1, 4))):
        text = text.replace(_pick(rng, words), _pick(rng, VALUES), 1)
    return text.encode("utf-8", "surrogatepass")


def line_moved(text: str, rng: np.random.Generator) -> bytes:
    """A line lost, twice, or indented otherwise."""
    lines = text.splitlines()
    at = int(rng.integers(len(lines)))
    kind = int(rng.integers(5))
    if kind == 0:
        lines.pop(at)
    elif kind == 1:
        lines.insert(at, lines[at])
    elif kind == 2:
        lines[at] = " " * int(rng.integers(1, 5)) + lines[at]
    elif kind == 3:
        lines[at] = lines[at].lstrip()
    else:
        lines[at] = "\t" + lines[at]
    return "\n".join(lines).encode() + b"\n"


def broken_settings(text: str, rng: np.random.Generator) -> bytes:
    return broken_bytes(text.encode(), rng)


def settings_in_another_encoding(text: str, rng: np.random.Generator) -> bytes:
    return text.encode(_pick(rng, ("utf-16", "utf-32", "utf-8-sig", "cp037")))


def bombs(text: str, rng: np.random.Generator) -> bytes:
    """Aliases that multiply, nesting without end, a file of megabytes."""
    kind = int(rng.integers(5))
    if kind == 0:
        levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
        return (text + "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + levels).encode()
    if kind == 1:
        levels = "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}], k{n}: 1}}\n" for n in range(1, 12))
        return (text + "a0: &a0 {x: 1}\n" + levels).encode()
    if kind == 2:
        return (text + "deep: " + "[" * 20_000 + "]" * 20_000 + "\n").encode()
    if kind == 3:
        return (text + "deep: " + "{a: " * 5_000 + "\n").encode()
    return (text + "# " + "x" * 60_000_000 + "\n").encode()


CONFIG_MUTATIONS: tuple[Callable[[str, np.random.Generator], bytes], ...] = (
    wrong_value, wrong_value, wrong_value, wrong_value, wrong_part, wrong_part, wrong_part, line_moved, line_moved,
    broken_settings, broken_settings, settings_in_another_encoding, bombs,
)  # fmt: skip


def case(where: Path, seed: int) -> tuple[Path, str]:
    """A working folder with one damaged file, and what was done to it."""
    rng = np.random.default_rng([2026, seed])
    if seed % 2:
        change = CONFIG_MUTATIONS[int(rng.integers(len(CONFIG_MUTATIONS)))]
        text = (folder(where) / "config.yaml").read_text()
        return folder(where, config=change(text, rng)), change.__name__
    name = _pick(rng, list(TABLES))
    edit = TABLE_MUTATIONS[int(rng.integers(len(TABLE_MUTATIONS)))]
    return folder(where, tables={name: edit(TABLES[name], rng)}), f"{edit.__name__} of {name}"
