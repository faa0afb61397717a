# Phantom cohorts: digital patients write the DICOM that ingest then takes like any export.


rule write_phantom_patient:
    input:
        key=key_of("write_phantom_patient"),
    output:
        manifest=f"{PRIVATE}/{{cohort}}/source/{{patient}}/manifest.json",
    log:
        "logs/write_phantom_patient/{cohort}/{patient}.log",
    benchmark:
        "benchmarks/write_phantom_patient/{cohort}/{patient}.tsv"
    group:
        "patient"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
    params:
        number=lambda wc: PLAN.phantom_number(wc.cohort, wc.patient),
        settings=lambda wc: PLAN.phantom_settings(wc.cohort),
    script:
        "../scripts/write_phantom_patient.py"


rule write_phantom_tables:
    input:
        key=key_of("write_phantom_tables"),
    output:
        clinical=f"{PRIVATE}/{{cohort}}/source/clinical.tsv",
        lesions=f"{PRIVATE}/{{cohort}}/source/lesions.tsv",
        truth=f"{COHORT}/phantom.json",
    log:
        "logs/write_phantom_tables/{cohort}.log",
    benchmark:
        "benchmarks/write_phantom_tables/{cohort}.tsv"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        settings=lambda wc: PLAN.phantom_settings(wc.cohort),
    script:
        "../scripts/write_phantom_tables.py"
