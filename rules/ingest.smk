# From the source to de-identified DICOM, volumes and masks: one patient, one chain.

IDENTIFIED = cohorts_with("dicom", "phantom")
INGESTED = ingested_with("dicom", "deidentified", "phantom")
WITH_IMAGES = cohorts_with("dicom", "deidentified", "phantom", "slices")


# sees identity: its log names types and places only
rule deidentify_images:
    input:
        state=source_state,
        key=key_of("deidentify_images"),
    output:
        manifest=f"{COHORT}/dicom/{{patient}}/images.json",
    log:
        "logs/deidentify_images/{cohort}/{patient}.log",
    benchmark:
        "benchmarks/deidentify_images/{cohort}/{patient}.tsv"
    wildcard_constraints:
        cohort=IDENTIFIED,
    group:
        "patient"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        source=once(PLAN.source_params, "cohort"),
        head=lambda wc: PLAN.config.cohorts[wc.cohort].head,
    script:
        "../scripts/deidentify_images.py"


# sees identity; apart from the images, so that a new ROI pattern does not redo them
rule deidentify_contours:
    input:
        state=source_state,
        images=lambda wc: PLAN.judged_images(wc.cohort, wc.patient),
        key=key_of("deidentify_contours"),
    output:
        manifest=f"{COHORT}/dicom/{{patient}}/contours.json",
        names=f"{PRIVATE}/{{cohort}}/contours/{{patient}}.json",
    log:
        "logs/deidentify_contours/{cohort}/{patient}.log",
    benchmark:
        "benchmarks/deidentify_contours/{cohort}/{patient}.tsv"
    wildcard_constraints:
        cohort=IDENTIFIED,
    group:
        "patient"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
    params:
        source=once(PLAN.source_params, "cohort"),
        head=lambda wc: PLAN.config.cohorts[wc.cohort].head,
        rois=lambda wc: PLAN.config.cohorts[wc.cohort].rois,
    script:
        "../scripts/deidentify_contours.py"


rule adopt_images:
    input:
        state=source_state,
        key=key_of("adopt_images"),
    output:
        manifest=f"{COHORT}/dicom/{{patient}}/images.json",
    log:
        "logs/adopt_images/{cohort}/{patient}.log",
    benchmark:
        "benchmarks/adopt_images/{cohort}/{patient}.tsv"
    wildcard_constraints:
        cohort=ingested_with("deidentified"),
    group:
        "patient"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
    params:
        source=once(PLAN.source_params, "cohort"),
        head=lambda wc: PLAN.config.cohorts[wc.cohort].head,
    script:
        "../scripts/adopt_images.py"


rule adopt_contours:
    input:
        state=source_state,
        images=lambda wc: PLAN.judged_images(wc.cohort, wc.patient),
        key=key_of("adopt_contours"),
    output:
        manifest=f"{COHORT}/dicom/{{patient}}/contours.json",
    log:
        "logs/adopt_contours/{cohort}/{patient}.log",
    benchmark:
        "benchmarks/adopt_contours/{cohort}/{patient}.tsv"
    wildcard_constraints:
        cohort=ingested_with("deidentified"),
    group:
        "patient"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
    params:
        source=once(PLAN.source_params, "cohort"),
        head=lambda wc: PLAN.config.cohorts[wc.cohort].head,
    script:
        "../scripts/adopt_contours.py"


# files that belong to no patient, where the folder of results takes them along
rule publish_unplaced:
    input:
        state=lambda wc: PLAN.state_file(wc.cohort, "unplaced"),
        key=key_of("publish_unplaced"),
    output:
        manifest=f"{COHORT}/unplaced.json",
    log:
        "logs/publish_unplaced/{cohort}.log",
    benchmark:
        "benchmarks/publish_unplaced/{cohort}.tsv"
    wildcard_constraints:
        cohort=ingested_with("dicom", "deidentified", "slices"),
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    script:
        "../scripts/publish_unplaced.py"


# sees identity: writes only the columns that the configuration allows, and days instead of dates
rule import_clinical:
    input:
        table=lambda wc: PLAN.clinical_table(wc.cohort),
        patients=PATIENT_LIST,
        manifests=of_patients(f"{COHORT}/dicom/{{patient}}/images.json"),
        key=key_of("import_clinical"),
    output:
        table=f"{COHORT}/clinical.parquet",
    log:
        "logs/import_clinical/{cohort}.log",
    benchmark:
        "benchmarks/import_clinical/{cohort}.tsv"
    wildcard_constraints:
        cohort=INGESTED,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        settings=lambda wc: PLAN.clinical_settings(wc.cohort),
        source=once(PLAN.source_params, "cohort"),
    script:
        "../scripts/import_clinical.py"


# sees identity: contours under their own names; writes numbers of lesions, 0 and 1, and texts of known words
rule import_lesions:
    input:
        table=lambda wc: PLAN.lesion_table(wc.cohort),
        patients=PATIENT_LIST,
        images=of_patients(f"{COHORT}/dicom/{{patient}}/images.json"),
        contours=of_patients(f"{COHORT}/dicom/{{patient}}/contours.json"),
        masks=of_patients(f"{COHORT}/masks/manual/{{patient}}/masks.json"),
        names=lambda wc: PLAN.contour_names(wc.cohort, PATIENTS[wc.cohort]),
        files=lambda wc: PLAN.manual_files(wc.cohort, PATIENTS[wc.cohort]),
        key=key_of("import_lesions"),
    output:
        table=f"{COHORT}/lesions.parquet",
        account=f"{COHORT}/lesions.json",
    log:
        "logs/import_lesions/{cohort}.log",
    benchmark:
        "benchmarks/import_lesions/{cohort}.tsv"
    wildcard_constraints:
        cohort=INGESTED,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
    params:
        settings=lambda wc: PLAN.lesion_settings(wc.cohort),
        source=once(PLAN.source_params, "cohort"),
        folder=lambda wc: PLAN.contour_folder(wc.cohort, "manual", "{patient}"),
    script:
        "../scripts/import_lesions.py"


rule convert_images:
    input:
        manifest=f"{COHORT}/dicom/{{patient}}/images.json",
        overrides=lambda wc: PLAN.series_table(wc.cohort),
        key=key_of("convert_images"),
    output:
        folder=directory(f"{COHORT}/images/{{patient}}"),
        manifest=f"{COHORT}/images/{{patient}}/images.json",
    log:
        "logs/convert_images/{cohort}/{patient}.log",
    benchmark:
        "benchmarks/convert_images/{cohort}/{patient}.tsv"
    wildcard_constraints:
        cohort=INGESTED,
    group:
        "patient"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(30),
    params:
        source=once(PLAN.source_params, "cohort"),
        modalities=lambda wc: PLAN.config.cohorts[wc.cohort].modalities,
        kernel=lambda wc: PLAN.config.cohorts[wc.cohort].kernel,
    script:
        "../scripts/convert_images.py"


rule draw_masks:
    input:
        images=f"{COHORT}/images/{{patient}}/images.json",
        contours=f"{COHORT}/dicom/{{patient}}/contours.json",
        files=lambda wc: PLAN.contour_files(wc.cohort, wc.set, wc.patient),
        key=key_of("draw_masks"),
    output:
        folder=directory(f"{COHORT}/masks/{{set}}/{{patient}}"),
        manifest=f"{COHORT}/masks/{{set}}/{{patient}}/masks.json",
    log:
        "logs/draw_masks/{cohort}/{set}/{patient}.log",
    benchmark:
        "benchmarks/draw_masks/{cohort}/{set}/{patient}.tsv"
    wildcard_constraints:
        cohort=INGESTED,
    group:
        "patient"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(20),
    params:
        source=once(PLAN.source_params, "cohort"),
        contour_folder=lambda wc: PLAN.contour_folder(wc.cohort, wc.set, wc.patient),
        rois=lambda wc: PLAN.config.cohorts[wc.cohort].rois,
    script:
        "../scripts/draw_masks.py"
