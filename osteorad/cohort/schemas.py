"""Columns of every table that passes between the rooms (DESIGN section 3 and contracts 2, 4, 5, 6, 7)."""

from __future__ import annotations

import pyarrow as pa

TEXT, INT, REAL, BOOL = pa.string(), pa.int32(), pa.float64(), pa.bool_()


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind) for name, kind in columns.items()])


# One row a patient of the cohort: images, or only a row in the table (`images` false).
PATIENTS = _schema(
    cohort=TEXT,
    patient=TEXT,
    images=BOOL,
    in_table=BOOL,
    sessions=INT,
    state=TEXT,  # used | quarantined | excluded | rejected | withdrawn
    reason=TEXT,
    age_years=REAL,
    sex=TEXT,
)

# One row a DICOM series (or a stack that a series was split into), used or set aside.
SERIES = _schema(
    cohort=TEXT,
    patient=TEXT,
    session=TEXT,
    session_order=INT,
    session_day=INT,  # days since the patient's index date, or since the first session where there is none
    series=TEXT,  # short keyed hash of the Series Instance UID
    modality=TEXT,
    kind=TEXT,  # image | contours | segmentation | other
    image=TEXT,  # name given (`ct`, `pet`, `ct-2`), empty where not used
    files=INT,
    slices=INT,
    state=TEXT,  # used | one of reasons.SET_ASIDE
    reason=TEXT,
    detail=TEXT,
    score=REAL,
    spacing_x_mm=REAL,
    spacing_y_mm=REAL,
    spacing_z_mm=REAL,
    rows=INT,
    columns=INT,
    manufacturer=TEXT,
    model=TEXT,
    kernel=TEXT,
    kvp=REAL,
    slice_thickness_mm=REAL,
    contrast=TEXT,
    units=TEXT,
    tracer=TEXT,
    dose_mbq=REAL,
    uptake_min=REAL,
    weight_kg=REAL,
    pixel_hash=TEXT,  # keyed hash of the decoded voxels, empty for a cohort without key
)

# One row a drawn lesion that the table of lesions tells of; `location` and `type` of known words only.
LESIONS = _schema(
    patient=TEXT,
    session=TEXT,
    roi=TEXT,
    lesion=INT,
    outcome=INT,
    location=TEXT,
    type=TEXT,
)

# One row a thing that was set aside or flagged: file, series, mask, ROI, sample.
QUARANTINE = _schema(
    cohort=TEXT,
    patient=TEXT,
    session=TEXT,
    stage=TEXT,  # files | series | masks | lesions | features | samples
    item=TEXT,  # pseudonymous name of the file, series or ROI
    count=INT,  # how many files the row stands for
    kind=TEXT,
    reason=TEXT,
    detail=TEXT,
)

FEATURE_KEYS = ("cohort", "patient", "session", "image", "roi", "lesion", "mask_set")
FEATURES = _schema(cohort=TEXT, patient=TEXT, session=TEXT, image=TEXT, roi=TEXT, lesion=INT, mask_set=TEXT)
REASONS = _schema(
    cohort=TEXT,
    patient=TEXT,
    session=TEXT,
    image=TEXT,
    roi=TEXT,
    lesion=INT,
    mask_set=TEXT,
    feature_class=TEXT,  # all | shape | firstorder | glcm | ... | suv; texture: the five texture classes
    kind=TEXT,  # missing | flag | rejected: a reader's verdict, and the row is not in the table
    reason=TEXT,
    detail=TEXT,
)

# samples.parquet: these columns, then `clinical.<name>`, `lesion.<name>`, `<image>.<feature>`, and
# `<image>@<set>.<feature>` from a second reader's contours.
SAMPLES = _schema(
    cohort=TEXT,
    patient=TEXT,
    session=TEXT,
    roi=TEXT,
    lesion=INT,
    sample=TEXT,
    mask_set=TEXT,
    site=TEXT,
    image_day=REAL,  # of the session, days since the index date; empty where there is none
    event_day=REAL,
    outcome=INT,
)

SPLITS = _schema(
    cohort=TEXT,
    analysis=TEXT,
    procedure=TEXT,
    repeat=INT,
    fold=INT,
    inner_fold=INT,  # -1: the outer split itself
    patient=TEXT,
    sample=TEXT,
    part=TEXT,  # train | test
)

PREDICTIONS = _schema(
    cohort=TEXT,
    analysis=TEXT,
    procedure=TEXT,  # nested | as-published | external
    repeat=INT,  # control permuted: number of the permutation
    fold=INT,
    model=TEXT,
    variables=TEXT,  # radiomics | clinical | combined | metabolic | volume | site | prevalence
    control=TEXT,  # none | permuted | shuffled
    chosen=BOOL,
    patient=TEXT,
    sample=TEXT,
    outcome=INT,
    score=REAL,
    probability=REAL,
    threshold=REAL,
    predicted=INT,
    part=TEXT,  # test, or train: inner out-of-fold scores
)

STEPS = _schema(
    cohort=TEXT,
    analysis=TEXT,
    procedure=TEXT,
    repeat=INT,
    fold=INT,
    inner_fold=INT,
    variables=TEXT,
    order=INT,
    step=TEXT,  # impute, zscore, ..., a model's name, threshold, calibration, choice
    settings_hash=TEXT,
    fit_rows=INT,
    fit_patients=INT,
    fit_hash=TEXT,  # provenance.rows_hash of the rows and the array fitted, taken inside fit
    columns_in=INT,
    columns_out=INT,
    record=TEXT,  # JSON: what the step kept and why
)

SELECTION = _schema(
    cohort=TEXT,
    analysis=TEXT,
    procedure=TEXT,
    repeat=INT,
    fold=INT,
    step=TEXT,
    feature=TEXT,
    rank=INT,
    score=REAL,
    kept=BOOL,
    reason=TEXT,
)
