"""Every row of PS3.15 Table E.1-1 does what it says, at top level and nested; the oracle reads the TSV on its own."""

from __future__ import annotations

import csv
import struct
from collections.abc import Iterator

import pytest

from osteorad.dicom.elements import Element, dictionary_vrs
from osteorad.dicom.policy import FOLDER, load_policy, tag_of
from osteorad.dicom.scrub import Person, Scrubbers
from tests.unit.dicom.deid_build import KEY, PATIENT

DAYS = -7 * 100
WORD, SECRET = "CHEST", "ZZCANARY"
KEPT_SEQUENCE = 0x00082218  # Anatomic Region Sequence
TEXT = ("LO", "SH", "LT", "ST", "UT", "UC")
# the project's own rules: tag -> (at top level, nested)
OWN = {
    "0010,0010": ("pseudonym", "empty"),
    "0010,0020": ("pseudonym", "empty"),
    "0008,1140": ("walked", "walked"),
    "0008,2112": ("walked", "walked"),
    "0008,0201": ("offset", "offset"),
    "3006,0026": ("empty", "empty"),  # no ROI label is given here
}
VALUES = {
    "PN": b"ZZCANARY^ERNA ",
    "DA": b"20240229",
    "DT": b"20240229101500.5",
    "TM": b"101500",
    "UI": b"1.2.752.19601231.5",
    "CS": b"ZZCANARY",
    "AS": b"094Y",
    "DS": b"123.50",
    "IS": b"17",
    "AE": b"ZZCANARY",
    "UR": b"http://zzcanary.example/ZZCANARY",
    "US": b"\1\0",
}


def rows() -> list[dict[str, str]]:
    with (FOLDER / "ps3_15_table_e1_1.tsv").open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def ct_types() -> dict[str, str]:
    with (FOLDER / "attribute_types_for_compound_actions.tsv").open(newline="") as stream:
        return {row["tag"]: row["CT"] or "" for row in csv.DictReader(stream, delimiter="\t")}


PLAIN = [row for row in rows() if "X" not in row["tag"] and "odd" not in row["tag"]]
TYPES = ct_types()


def vr_of(row: dict[str, str]) -> str:
    known = dictionary_vrs(tag_of(row["tag"]))
    return row["vr"] or (known[0] if known else "LO")


def planted(row: dict[str, str]) -> Element:
    tag, vr = tag_of(row["tag"]), vr_of(row)
    if vr == "SQ":
        inner = [
            Element(0x00080104, "LO", f"{WORD} {SECRET}".encode()),
            Element(0x00081155, "UI", b"1.2.752.19601231.5"),
        ]
        return Element(tag, "SQ", [inner])
    if row["tag"] == "0008,0201":
        return Element(tag, "SH", b"+0100 ")
    if row["rtn_pat_chars"] and vr == "CS":
        return Element(tag, vr, b"YES")
    return Element(tag, vr, VALUES.get(vr, f"{WORD} {SECRET}".encode()))


def basic(row: dict[str, str], kind: str) -> str:
    """The basic profile's action; compound ones by attribute type: 1 dummy (or UID), 2 empty, 3 or unknown remove."""
    letters = row["basic_profile"].replace("*", "")
    if len(letters) == 1:
        letter = letters
    elif kind.startswith("1"):
        letter = "D" if "D" in letters else "U" if "U" in letters else "Z"
    elif kind.startswith("2"):
        letter = "Z" if "Z" in letters else "D"
    else:
        letter = "X" if "X" in letters else "Z"
    return {"X": "removed", "Z": "empty", "D": "dummy", "U": "uid"}[letter]


def expected(row: dict[str, str], *, nested: bool) -> str:
    if tag_of(row["tag"]) >> 16 < 8:
        return "removed"  # commands, file meta information and file sets never lie in a data set
    if row["tag"] in OWN:
        return OWN[row["tag"]][nested]
    vr = vr_of(row)
    if row["rtn_pat_chars"] == "K":
        return "words" if vr in TEXT else {"AS": "capped"}.get(vr, "kept")
    if row["rtn_pat_chars"] == "C":
        return "removed"
    if row["rtn_long_modif_dates"] == "C" and vr in ("DA", "DT", "TM"):
        return "kept" if vr == "TM" else "shifted"
    if row["clean_desc"] == "C" and vr in TEXT:
        return "words"
    action = basic(row, "" if nested else TYPES.get(row["tag"], ""))
    return "uid" if action == "dummy" and vr == "UI" else action


def found(elements: list[Element], tag: int) -> Element | None:
    return next((e for e in elements if e.tag == tag), None)


def judge(what: str, before: Element, after: Element | None) -> None:
    """Assert that an element became what the table asks for."""
    if what == "removed":
        assert after is None
        return
    assert after is not None
    value = after.value
    if what == "empty":
        assert len(value) == 0
    elif what == "dummy":
        assert len(value) > 0
        assert value != before.value
        assert SECRET not in repr(value)
    elif what == "uid":
        assert value.startswith(b"2.25.")
    elif what == "kept":
        assert value == before.value
    elif what == "capped":
        assert value == b"090Y"
    elif what == "shifted":
        assert value == {"DA": b"20220331", "DT": b"20220331101500.5"}[after.vr]
    elif what == "words":
        assert value == WORD.encode()
    elif what == "pseudonym":
        assert value == PATIENT.encode()
    elif what == "offset":
        assert value == b"+0100"
    else:
        assert what == "walked"
        inner = {e.tag: e.value for e in value[0]}
        assert inner[0x00080104] == WORD.encode()
        assert inner[0x00081155].startswith(b"2.25.")


def scrubbed(elements: list[Element], column: str = "CT", *, descriptors: bool = True) -> list[Element]:
    person = Person(key=KEY, pseudonym=PATIENT, days=DAYS)
    return (
        Scrubbers(policy=load_policy(), person=person)
        .of(elements, types_column=column, descriptors=descriptors)
        .dataset(elements)
    )


def test_the_table_is_whole():
    assert len(rows()) == 656
    assert len(PLAIN) == 652
    assert len({row["tag"] for row in rows()}) == 656
    assert len(load_policy().rows) == 652
    columns = {"rtn_long_modif_dates": 165, "clean_desc": 125, "rtn_pat_chars": 13, "rtn_uids": 59, "rtn_dev_id": 57}
    assert {name: sum(bool(row[name]) for row in rows()) for name in columns} == columns


@pytest.mark.parametrize("row", PLAIN, ids=lambda row: row["tag"])
def test_row(row):
    element = planted(row)
    judge(expected(row, nested=False), element, found(scrubbed([element]), element.tag))
    item = scrubbed([Element(KEPT_SEQUENCE, "SQ", [[element]])])[0].value[0]
    judge(expected(row, nested=True), element, found(item, element.tag))
    assert SECRET not in repr(scrubbed([element]))
    assert SECRET not in repr(scrubbed([element], "SEG", descriptors=False))


def wildcards() -> Iterator[tuple[int, str, bytes]]:
    for group in (0x5000, 0x5002, 0x50FE):
        yield from ((group << 16 | e, vr, b"ZZCANARY") for e, vr in ((0x0005, "US"), (0x0022, "LO"), (0x3000, "OW")))
    for group in (0x6000, 0x6002, 0x60FE):
        yield from ((group << 16 | e, "LO", b"ZZCANARY") for e in (0x0022, 0x1500, 0x3000, 0x4000))
    for group in (0x0009, 0x0011, 0x0019, 0x0029, 0x7FE1, 0x7053):
        yield from ((group << 16 | e, "LO", b"ZZCANARY") for e in (0x0001, 0x0010, 0x0042, 0x1001, 0x10FF, 0xFFFF))


@pytest.mark.parametrize(("tag", "vr", "value"), list(wildcards()), ids=lambda x: f"{x:08X}" if x is int else None)
def test_wildcard_rows(tag, vr, value):
    element = Element(tag, vr, value)
    assert scrubbed([element]) == []
    assert scrubbed([Element(KEPT_SEQUENCE, "SQ", [[element]])])[0].value == [[]]


def test_compound_actions_follow_the_type_of_the_object():
    """SeriesTime-like rows: the same attribute is required in one kind of object and optional in another."""
    serial = Element(0x00181000, "LO", b"ZZCANARY")
    assert scrubbed([serial], "CT") == []  # type 3: X
    assert found(scrubbed([serial], "EnhancedCT"), serial.tag).value == b"ANONYMOUS"  # type 1: D
    operators = Element(0x00081070, "PN", b"ZZCANARY")
    assert found(scrubbed([operators], "RTSTRUCT"), operators.tag).value == b""  # type 2: Z
    agent = Element(0x00180010, "LO", b"ZZCANARY")
    assert found(scrubbed([agent], "CT"), agent.tag).value == b""  # Z/D, type 2: Z


@pytest.mark.parametrize("vr", ["LO", "LT", "SH", "ST", "UC", "UT", "PN", "UN", "OB", "AE", "UR"])
def test_unlisted_text_and_bytes_go(vr):
    """Default-deny, also for attributes that neither table nor dictionary knows."""
    for tag in (0x00189999, 0x00080116, 0x00181250, 0x00401234):
        assert scrubbed([Element(tag, vr, b"ZZCANARY")]) == []


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00180050, "LO", b"ZZCANARY"),  # text where a number belongs
        (0x00280010, "LT", b"ZZCANARY"),
        (0x00180050, "DS", b"ZZCANARY"),  # no number in it
        (0x00180015, "CS", b"zz canary^of"),  # no code string in it
        (0x00080060, "SQ", [[Element(0x00080104, "LO", b"CHEST")]]),
        (0x00080031, "TM", b"0176 1234567"),
        (0x00200013, "IS", b"+49 30 123/45"),
        (0x00101010, "AS", b"ZZCA"),
    ],
)
def test_values_that_are_not_what_they_promise_go(tag, vr, value):
    assert scrubbed([Element(tag, vr, value)]) == []


def test_nothing_hides_behind_a_nul():
    (kept,) = scrubbed([Element(0x00180015, "CS", b"CHEST\0ZZCANARY")])
    assert kept.value == b"CHEST"
    (kept,) = scrubbed([Element(0x0020000D, "UI", b"1.2.3\0ZZCANARY")])
    assert kept.value.startswith(b"2.25.")
    assert kept == scrubbed([Element(0x0020000D, "UI", b"1.2.3\0")])[0]


def private(value: bytes, vr: str, *, creator: bytes, group: int, low: int, block: int = 0x10) -> list[Element]:
    return [Element(group << 16 | block, "LO", creator), Element(group << 16 | block << 8 | low, vr, value)]


def test_every_safe_private_row():
    """Listed attributes stay under their creator, except sequences and bytes; dates move; UIDs are mapped."""
    with (FOLDER / "ps3_15_safe_private.tsv").open(newline="") as stream:
        listed = list(csv.DictReader(stream, delimiter="\t"))
    samples = {"DS": b"1.5 ", "IS": b"17", "CS": b"AXIAL ", "LO": b"V1.0", "SH": b"0.98:1", "LT": b"CHEST "}
    samples |= {"DT": b"20240229101500.00 ", "UI": b"1.2.752.19601231.5", "FL": struct.pack("<f", 1.5)}
    samples |= {"FD": struct.pack("<d", 1.5), "SS": b"\1\0", "US": b"\1\0", "SL": bytes(4), "UL": bytes(4)}
    kept = 0
    for row in listed:
        group, low = int(row["tag"][:4], 16), int(row["tag"][7:], 16)
        value = samples.get(row["vr"], b"ZZCANARY")
        for block in (0x10, 0x42):
            elements = private(
                value, row["vr"] or "LO", creator=row["private_creator"].encode(), group=group, low=low, block=block
            )
            after = scrubbed(elements)
            if row["vr"] in samples:
                kept += 1
                assert [e.tag for e in after] == [e.tag for e in elements]
                if row["vr"] == "UI":
                    assert after[1].value.startswith(b"2.25.")
                elif row["vr"] == "DT":
                    assert after[1].value == b"20220331101500.00"
                else:
                    assert after[1].value.strip() == value.strip()
            else:
                assert after == []
    assert len(listed) == 132
    assert kept == 2 * 104  # all but 14 OB, 9 SQ and 5 without a VR


def test_private_needs_its_creator_and_its_vr():
    philips = b"Philips PET Private Group"
    good = private(b"0.0005", "DS", creator=philips, group=0x7053, low=0x00)
    assert scrubbed(good) == good
    assert scrubbed(private(b"0.0005", "UN", creator=philips, group=0x7053, low=0x00)) == good
    assert scrubbed(private(b"0.0005", "LO", creator=philips, group=0x7053, low=0x00)) == []
    assert scrubbed(private(b"ZZCANARY", "UN", creator=philips, group=0x7053, low=0x00)) == []
    assert scrubbed(private(b"0.0005", "DS", creator=b"SOMEBODY", group=0x7053, low=0x00)) == []
    assert scrubbed(private(b"0.0005", "DS", creator=philips, group=0x7055, low=0x00)) == []
    assert scrubbed(good[1:]) == []  # no creator
    assert scrubbed(good[:1]) == []  # a creator of nothing
    nested = scrubbed([Element(KEPT_SEQUENCE, "SQ", [good[1:]]), *good])
    assert nested[0].value == [[]]  # the creator of another level does not count


def test_philips_factor_without_creator_is_taken_from_philips_only():
    factor = Element(0x70531000, "DS", b"0.0005")
    maker = Element(0x00080070, "LO", b"Philips Medical Systems")
    kept = {e.tag: e.value for e in scrubbed([maker, factor])}
    assert kept[0x70530010] == b"Philips PET Private Group"
    assert kept[0x70531000] == b"0.0005"
    assert [e.tag for e in scrubbed([Element(0x00080070, "LO", b"ACME"), factor])] == [0x00080070]


def test_codes_of_unknown_schemes_lose_their_values():
    def coded(scheme: bytes | None) -> dict[int, bytes]:
        item = [Element(0x00080100, "SH", b"ZZCANARY"), Element(0x00080104, "LO", b"CHEST ZZCANARY")]
        item += [Element(0x00080102, "SH", scheme)] if scheme else []
        return {e.tag: e.value for e in scrubbed([Element(KEPT_SEQUENCE, "SQ", [item])])[0].value[0]}

    assert set(coded(b"99HOSPITAL")) == set(coded(None)) == {0x00080104}
    assert coded(b"99HOSPITAL")[0x00080104] == b"CHEST"
    assert set(coded(b"SRT")) == {0x00080100, 0x00080102, 0x00080104}


def test_descriptions_keep_known_words_only():
    clean = load_policy().vocabulary.clean
    assert clean("CT Thorax 3mm Br38f, Herr Maier 29.02.2024") == "CT Thorax 3mm Br38f"
    assert clean("PET/CT whole-body FDG (F-18)") == "PET CT whole body FDG F-18"
    assert clean("0176 123 45 67") == ""
    assert clean("Hand", frozenset({"hand"})) == ""
    assert clean("WS3 L4 T12 B30f 120kV") == "L4 T12 B30f 120kV"
