# What a cohort consists of, its page, and the index of all pages.


# reads the manifests of DICOM and of images, too, behind those of masks
rule collect_cohort:
    input:
        patients=PATIENT_LIST,
        unplaced=lambda wc: PLAN.unplaced(wc.cohort),
        masks=of_patients(f"{COHORT}/masks/manual/{{patient}}/masks.json"),
        clinical=lambda wc: PLAN.clinical(wc.cohort),
        lesions=lambda wc: PLAN.lesions(wc.cohort, "lesions.json"),
        key=key_of("collect_cohort"),
    output:
        patients=f"{COHORT}/patients.parquet",
        series=f"{COHORT}/series.parquet",
        quarantine=f"{COHORT}/quarantine.parquet",
        flow=f"{COHORT}/flow.json",
    log:
        "logs/collect_cohort/{cohort}.log",
    benchmark:
        "benchmarks/collect_cohort/{cohort}.tsv"
    wildcard_constraints:
        cohort=WITH_IMAGES,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        dicom=of_patients(f"{COHORT}/dicom/{{patient}}"),
        images=of_patients(f"{COHORT}/images/{{patient}}/images.json"),
        exclude=lambda wc: PLAN.config.cohorts[wc.cohort].exclude,
        modalities=lambda wc: PLAN.config.cohorts[wc.cohort].modalities,
        rejected=rejected("collect_cohort"),
    script:
        "../scripts/collect_cohort.py"


# reads the manifest of images, too, behind that of masks
rule draw_patient:
    input:
        masks=f"{COHORT}/masks/manual/{{patient}}/masks.json",
        key=key_of("draw_patient"),
    output:
        page=f"{COHORT}/pages/{{patient}}.html",
        thumbs=f"{COHORT}/pages/{{patient}}.json",
    log:
        "logs/draw_patient/{cohort}/{patient}.log",
    benchmark:
        "benchmarks/draw_patient/{cohort}/{patient}.tsv"
    group:
        "patient"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(20),
    params:
        images=f"{COHORT}/images/{{patient}}/images.json",
    script:
        "../scripts/draw_patient.py"


# knows verdicts, never readers or comments; reads the manifests of images, too, behind those of masks
rule review_cohort:
    input:
        masks=lambda wc: PLAN.all_masks(wc.cohort, PATIENTS[wc.cohort]),
        key=key_of("review_cohort"),
    output:
        page=f"{COHORT}/review.html",
        numbers=f"{COHORT}/review.json",
    log:
        "logs/review_cohort/{cohort}.log",
    benchmark:
        "benchmarks/review_cohort/{cohort}.tsv"
    wildcard_constraints:
        cohort=WITH_IMAGES,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        images=of_patients(f"{COHORT}/images/{{patient}}/images.json"),
        review=key_settings("review_cohort"),
    script:
        "../scripts/review_cohort.py"


rule report_cohort:
    input:
        patients=f"{COHORT}/patients.parquet",
        series=f"{COHORT}/series.parquet",
        quarantine=f"{COHORT}/quarantine.parquet",
        flow=f"{COHORT}/flow.json",
        features=lambda wc: PLAN.page_features(wc.cohort, "features.parquet"),
        reasons=lambda wc: PLAN.page_features(wc.cohort, "reasons.parquet"),
        thumbs=of_patients(f"{COHORT}/pages/{{patient}}.json"),
        review=lambda wc: PLAN.review(wc.cohort),
        key=key_of("report_cohort"),
    output:
        page=f"{COHORT}/report.html",
        numbers=f"{COHORT}/report.json",
        lesions=f"{COHORT}/lesions.csv",
        parts=directory(f"{COHORT}/parts"),
        manifest=f"{COHORT}/parts/parts.json",
    log:
        "logs/report_cohort/{cohort}.log",
    benchmark:
        "benchmarks/report_cohort/{cohort}.tsv"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        settings=lambda wc: PLAN.cohort_page(wc.cohort),
    script:
        "../scripts/report_cohort.py"


# for the data protection officer; reads what verify-deid left, where there is a search; counts the manifests behind
# patients.parquet
rule report_privacy:
    input:
        patients=f"{COHORT}/patients.parquet",
        quarantine=f"{COHORT}/quarantine.parquet",
        flow=f"{COHORT}/flow.json",
        clinical=lambda wc: PLAN.clinical(wc.cohort),
        lesions=lambda wc: PLAN.lesions(wc.cohort, "lesions.parquet"),
        search=lambda wc: PLAN.search(wc.cohort),
        key=key_of("report_privacy"),
    output:
        page=f"{COHORT}/privacy.html",
        numbers=f"{COHORT}/privacy.json",
    log:
        "logs/report_privacy/{cohort}.log",
    benchmark:
        "benchmarks/report_privacy/{cohort}.tsv"
    wildcard_constraints:
        cohort=WITH_IMAGES,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        settings=lambda wc: PLAN.privacy_page(wc.cohort),
        folders=of_patients(f"{COHORT}/dicom/{{patient}}"),
    script:
        "../scripts/report_privacy.py"


rule write_index:
    input:
        cohorts=PLAN.cohort_reports(),
        analyses=PLAN.analysis_reports(),
        key=key_of("write_index", ""),
    output:
        page="results/index.html",
    log:
        "logs/write_index/index.log",
    benchmark:
        "benchmarks/write_index/index.tsv"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        title=PLAN.config.title,
    script:
        "../scripts/write_index.py"
