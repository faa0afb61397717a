# Cohorts from a feature table: one rule takes the place of everything between images and features.


rule import_table:
    input:
        table=lambda wc: PLAN.feature_table(wc.cohort),
        patients=PATIENT_LIST,
        key=key_of("import_table"),
    output:
        patients=f"{COHORT}/patients.parquet",
        series=f"{COHORT}/series.parquet",
        quarantine=f"{COHORT}/quarantine.parquet",
        clinical=f"{COHORT}/clinical.parquet",
        lesions=f"{COHORT}/lesions.parquet",
        features=f"{COHORT}/features/table/manual/features.parquet",
        reasons=f"{COHORT}/features/table/manual/reasons.parquet",
        flow=f"{COHORT}/flow.json",
    log:
        "logs/import_table/{cohort}.log",
    benchmark:
        "benchmarks/import_table/{cohort}.tsv"
    wildcard_constraints:
        cohort=cohorts_with("table"),
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        settings=lambda wc: PLAN.table_settings(wc.cohort),
        exclude=lambda wc: PLAN.config.cohorts[wc.cohort].exclude,
        state=lambda wc: PLAN.state_folder(wc.cohort),
    script:
        "../scripts/import_table.py"
