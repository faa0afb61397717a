"""Sections of the privacy page: in short, files, clinical table, small groups, and what remains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from osteorad.reporting import cohort_tables as tables
from osteorad.reporting import report as doc
from osteorad.reporting.rare import LEAST, OLDEST, Variable, old_patients, rare_rows
from osteorad.reporting.wording import count, none_of, plural

Rows = Sequence[Mapping[str, Any]]
Settings = Mapping[str, Any]
MOST_ROWS = 60
DAYS = ("index_day", "event_day", "last_seen_day", "first_session_day")
NO_FILES: Mapping[str, Any] = {"in": 0, "used": 0, "set_aside": ()}
KINDS = {
    "dicom": "Pseudonymised, not anonymised",
    "phantom": "Digital patients, nobody's data",
    "deidentified": "Pseudonymised elsewhere, not checked here",
    "slices": "Pseudonymised elsewhere, not checked here",
}
HEADS = {
    "keep": (
        "Faces kept",
        "warn",
        "Heads are kept as they were scanned. A head CT can be drawn as a face and matched with photographs: whoever "
        "gets these images can try. Nothing here prevents it.",
    ),
    "blank": (
        "Heads blanked",
        "ok",
        "Slices above the neck hold no anatomy; what could not be judged was held back. Look at the pictures of the "
        "cohort page: where the neck was found too high, a chin is left.",
    ),
    "quarantine": (
        "Heads held back",
        "ok",
        "Series that show a head, or that could not be judged, were held back and stand among what was set aside.",
    ),
}
SHORT = {
    "dicom": "Identity was removed under a policy, with a key kept apart. Whoever holds the key finds the patients "
    "again, so these data stay personal data.",
    "phantom": "The chain ran on digital patients as it would on real ones; their key is public: they show nobody.",
    "deidentified": "These images came here pseudonymised. This workflow took them at their word: it changed no header "
    "and checked no value.",
    "slices": "These pictures came here under names that were given before. Of each file only the pixels were read; "
    "what is drawn into them was not looked at.",
}
DUTIES = (
    ("Key", "whoever holds private_dir finds the patients again. Keep it on another disk, never send it with results."),
    (
        "Rare facts",
        "age, site, days and rare diagnoses can identify together; the cells above are where to look first.",
    ),
    (
        "Dates",
        "are moved by whole days within a patient. The order of examinations and the intervals stay, and whoever knows "
        "two of someone's dates can look for the interval.",
    ),
    ("Text in pixels", "is recognised from headers, not from pixels. Look at the pictures of the cohort page."),
    ("Results", "are personal data: pages and tables name patients by pseudonym."),
    ("Settings", "stand in config.yaml, outside private_dir: no names in titles, patterns or exclusions."),
)
ELSEWHERE = {
    "Key": "is elsewhere, if there is one: the sending site can find the patients again.",
    "Dates": "are what the sending site made of them; none was moved here.",
}


# --- chips -----------------------------------------------------------------------------------------------------------


def kind_chip(source: str) -> dict[str, str]:
    """What the data are."""
    return {"text": KINDS[source], "tone": "warn" if source in ("deidentified", "slices") else "plain"}


def head_chip(settings: Settings) -> dict[str, str]:
    """What became of heads."""
    word, tone, _ = HEADS[str(settings["head"])]
    return {"text": word, "tone": tone}


# --- sections --------------------------------------------------------------------------------------------------------


def answer_section(source: str, patients: int, stages: Rows, variables: Sequence[Variable]) -> doc.Section:
    """In short."""
    files = _files(stages)
    held = sum(loss["count"] for loss in files["set_aside"])
    pointed = max((row["patients"] for row in rare_rows(variables) if row["kind"] == "groups"), default=0)
    items = [
        {"value": patients, "of": None, "digits": 0, "label": "patients"},
        {"value": files["used"], "of": files["in"], "digits": 0, "label": "files kept"},
        {"value": held, "of": files["in"], "digits": 0, "label": "files set aside"},
        {
            "value": pointed,
            "of": patients,
            "digits": 0,
            "label": f"patients in groups of under {LEAST}, by one category",
        },
    ]
    numbers = {"patients": patients, "held": held, "pointed": pointed, "least": LEAST}
    return doc.section("answer", "In short", SHORT[source], [doc.tiles(items)], numbers=numbers)


def _files(stages: Rows) -> Mapping[str, Any]:
    return next((stage for stage in stages if stage["stage"] == "files"), NO_FILES)


def files_section(source: str, stages: Rows, aside: Rows) -> doc.Section:
    """Files in, kept and set aside by reason, and where they lie."""
    files = _files(stages)
    held = sum(loss["count"] for loss in files["set_aside"])
    rows = [row for row in tables.aside_summary(aside) if row["stage"] == "files"]
    sentence = f"{count(files['used'])} of {plural(files['in'], 'file')} kept, {count(held)} set aside."
    table = doc.table(
        "files-aside",
        "Files that were set aside, by reason.",
        [
            doc.column("sentence_of", "Reason"),
            doc.column("reason", "Code", "code"),
            doc.column("kind", "Became"),
            doc.column("count", "Files", "count"),
            doc.column("patients", "Patients", "count"),
        ],
        rows,
        empty=none_of(files["in"], "file"),
    )
    where = "Those set aside stay where they came from, unchanged; nothing of them stands under results/."
    if source == "dicom":
        where += " Which file a line means is known only under private_dir."
    numbers = {"in": files["in"], "used": files["used"], "held": held, "zero": 0}
    parts = [table, doc.note(where, title="Where they lie.")]
    return doc.section("files", "Files", sentence, parts, numbers=numbers)


def tables_section(source: str, columns: Sequence[str], settings: Settings) -> doc.Section:
    """Columns of the clinical table that left."""
    days = [name for name in columns if name in DAYS]
    kept = [name for name in columns if name not in DAYS]
    asked = list(settings["keep"])
    rows = [
        *({"column": name, "why": "named by keep in the settings" if name in asked else _own(name)} for name in kept),
        *({"column": name, "why": "made from dates: days since the index date"} for name in days),
    ]
    sentence = f"{plural(len(rows), 'column')} left the clinical table; every other one stayed behind."
    if not columns:
        sentence = "No clinical table: 0 columns."
    table = doc.table(
        "columns",
        "Columns that left, under pseudonyms.",
        [doc.column("column", "Column", "code"), doc.column("why", "Why")],
        rows,
        empty=none_of(0, "column"),
    )
    text = f"Columns called age or age_years: over {OLDEST - 1} years it is written as {OLDEST}."
    lesions = "Of a table of lesions, 0 and 1 leave, and location and type where every word is a known one."
    if source in ("deidentified", "slices"):
        text += " Where the table holds dates, only days left it."
    parts = [table, doc.note(f"{text} {lesions}", facts={"oldest": [OLDEST - 1, OLDEST], "outcomes": [0, 1]})]
    return doc.section("tables", "Clinical table", sentence, parts, numbers={"columns": len(rows), "zero": 0})


def _own(name: str) -> str:
    return "the outcome" if name == "outcome" else "where the images come from, for subgroups and splits"


def rare_section(variables: Sequence[Variable], patients: int) -> doc.Section:
    """Groups of few patients among what was kept."""
    rows = rare_rows(variables)
    small = [row for row in rows if row["small"]]
    shown = small[:MOST_ROWS]
    old = old_patients(variables)
    sentence = (
        f"{count(len(small))} of {plural(len(rows), 'variable or pair', 'variables and pairs')} have cells of fewer "
        f"than {LEAST} patients, which may identify together with what somebody knows."
    )
    more = f" The first {count(len(shown))} of {count(len(small))}." if len(shown) < len(small) else ""
    table = doc.table(
        "rare-table",
        f"Cells of fewer than {LEAST} patients; a cell is a value, or a combination of two. Values are not shown here."
        + more,
        [
            doc.column("what", "Variable"),
            doc.column("kind", "Kind"),
            doc.column("cells", "Cells", "count"),
            doc.column("small", f"Cells under {LEAST}", "count"),
            doc.column("patients", "Patients in them", "count"),
            doc.column("alone", "Patients alone in one", "count"),
        ],
        shown,
        empty=none_of(len(rows), "variable or pair", "variables and pairs"),
    )
    text = (
        f"{plural(old, 'patient')} with an age of {OLDEST}, which stands for all over {OLDEST - 1}. Exact numbers, "
        "such as days and laboratory values, are rare one by one: whoever knows two of them about a person can look "
        "for the row. Keep few columns, and coarse ones."
    )
    parts = [table, doc.note(text, title="Ages and numbers.", facts={"old": old, "ages": [OLDEST, OLDEST - 1]})]
    numbers = {"small": len(small), "of": len(rows), "least": LEAST, "patients": patients, "shown": len(shown)}
    return doc.section("rare", "Small groups", sentence, parts, numbers={**numbers, "zero": 0})


def duties_section(source: str, settings: Settings) -> doc.Section:
    """What remains to be judged by people."""
    _, tone, faces = HEADS[str(settings["head"])]
    elsewhere = ELSEWHERE if source in ("deidentified", "slices") else {}
    rows = [(name, elsewhere.get(name, words)) for name, words in DUTIES]
    parts = [doc.note(faces, title="Faces.", tone=tone if tone == "warn" else "plain"), doc.pairs(rows)]
    sentence = f"{plural(len(rows) + 1, 'point')} for a person to judge before anything is passed on."
    return doc.section("remains", "What remains", sentence, parts, numbers={"points": len(rows) + 1})
