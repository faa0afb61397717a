"""Section of the privacy page: the policy in force, its options, and what becomes of each kind of attribute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from osteorad.dicom.policy import Policy, load_policy
from osteorad.reporting import report as doc
from osteorad.reporting.wording import count, listed, none_of, plural

Rows = Sequence[Mapping[str, Any]]
OBJECTS = {"CT": "CT", "PET": "PET", "RTSTRUCT": "Contours", "SEG": "Segmentations"}
# what becomes of an attribute, in words; the policy's own verbs
VERBS = {
    "remove": "removed",
    "empty": "emptied",
    "dummy": "replaced by a value that says nothing",
    "uid": "replaced by a keyed UID",
    "pseudonym": "replaced by the pseudonym",
    "roi": "replaced by the name of the ROI and a number",
    "ours": "written anew",
    "shift": "date moved by the patient's own number of days; time of day kept",
    "words": "kept where every word is a known technical one",
    "device": "kept where it names a product",
    "code": "kept where its coding scheme is a public one",
    "utc_offset": "kept where it is an offset from UTC",
    "keep": "kept",
}
SAID = (
    ("Names", "a patient becomes p and the begin of a keyed hash of the PatientID; the key lies in private_dir alone."),
    ("Dates", "are moved by whole days, one number a patient, so that intervals stay; times of day are kept."),
    ("UIDs", "are replaced by keyed ones, the same original always by the same."),
    ("Private attributes", "stay only where the standard lists them as safe, with a value of the documented kind."),
    ("Contours", "are named by ROI and number; their own names stay in private_dir."),
    ("Afterwards", "each object is searched for the identifiers that were removed, and held back if one is left."),
)
ATTRIBUTE = "0012,0064"
OF_PIXELS = {"113102": "Clean Recognizable Visual Features Option"}  # of cohorts whose heads do not pass


def done_section(source: str, policies: Rows) -> doc.Section:
    """What was done. policies : a row a manifest: patient, edition, options, date_shifted."""
    patients = {row["patient"] for row in policies}
    if source in ("deidentified", "slices"):
        return _taken_over(len(patients), sorted({str(row["edition"]) for row in policies if row["edition"]}))
    policy = load_policy()
    editions = sorted({str(told["edition"]) for told in policies if told["edition"]})
    codes = {code for told in policies for code in told["options"]}
    meanings = {**dict(policy.options), **OF_PIXELS}
    options = [{"code": c, "meaning": meanings.get(c, "not an option of this version")} for c in sorted(codes)]
    unmoved = {row["patient"] for row in policies if not row["date_shifted"]}
    sentence = (
        f"{plural(len(patients), 'patient')} under {listed(editions) or 'no edition'}, with "
        f"{plural(len(options), 'option')}; the dates of {count(len(patients - unmoved))} were moved."
    )
    table = doc.table(
        "options",
        f"Options of the confidentiality profile in force, as each DICOM file states them ({ATTRIBUTE}).",
        [doc.column("code", "Code", "code"), doc.column("meaning", "Option")],
        options,
        empty=none_of(0, "option"),
        facts={"attribute": ATTRIBUTE},
    )
    numbers = {
        "patients": len(patients),
        "editions": editions,
        "options": len(options),
        "moved": len(patients - unmoved),
        "zero": 0,
    }
    body = [table, doc.pairs(list(SAID)), _actions(policy)]
    return doc.section("done", "What was done", sentence, body, numbers=numbers)


def _taken_over(patients: int, editions: Sequence[str]) -> doc.Section:
    """What came pseudonymised. editions : of the policy, where another site's run of this workflow states one."""
    text = (
        "Headers, dates and private attributes are those of the site that sent the images; ask it for its policy. "
        "Here, only objects of a kind that may show or tell who someone is were set aside: screen saves, secondary "
        "captures, documents, reports. If the images are not what they claim, use source dicom."
    )
    sentence = f"Nothing was removed here: {plural(patients, 'patient')} taken over, 0 headers changed."
    parts = [doc.note(text, title="This workflow did not check.", tone="warn")]
    if editions:
        words = f"Another site ingested this cohort with this workflow. Its manifests state {listed(editions)}."
        parts.append(doc.note(words, title="Ingested elsewhere.", facts={"editions": list(editions)}))
    return doc.section("done", "What was done", sentence, parts, numbers={"patients": patients, "zero": 0})


def _actions(policy: Policy) -> doc.Part:
    """How many attributes of the standard's table have each action, by kind of object."""
    counted = {
        name: Counter(action.verb for action in policy.actions(name, name in ("CT", "PET")).values())
        for name in OBJECTS
    }
    rows = [
        {"what": words, **{name: counted[name][verb] for name in OBJECTS}}
        for verb, words in VERBS.items()
        if any(counted[name][verb] for name in OBJECTS)
    ]
    columns = [
        doc.column("what", "Becomes"),
        *(doc.column(name, label, "count") for name, label in OBJECTS.items()),
    ]
    caption = (
        f"Attributes that the policy names ({count(len(policy.rows))} of the standard's table, and some texts beside "
        "it), by what becomes of them. Text that is named nowhere goes; numbers about the picture stay."
    )
    empty = none_of(0, "attribute")
    return doc.table("actions", caption, columns, rows, empty=empty, facts={"rows": len(policy.rows)})
