# Grids that recipes ask for, and features.


rule build_grid:
    input:
        images=f"{COHORT}/images/{{patient}}/images.json",
        masks=f"{COHORT}/masks/manual/{{patient}}/masks.json",
        key=key_of("build_grid"),
    output:
        folder=directory(f"{COHORT}/grids/{{grid}}/{{patient}}"),
        manifest=f"{COHORT}/grids/{{grid}}/{{patient}}/grid.json",
    log:
        "logs/build_grid/{cohort}/{grid}/{patient}.log",
    benchmark:
        "benchmarks/build_grid/{cohort}/{grid}/{patient}.tsv"
    group:
        "patient"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(20),
    script:
        "../scripts/build_grid.py"


rule extract_features:
    input:
        images=f"{COHORT}/images/{{patient}}/images.json",
        masks=f"{COHORT}/masks/{{set}}/{{patient}}/masks.json",
        grids=lambda wc: PLAN.grids(wc.cohort, wc.preset, wc.patient),
        key=key_of("extract_features", "{cohort}.{preset}"),
    output:
        table=f"{COHORT}/features/{{preset}}/{{set}}/patients/{{patient}}.parquet",
        reasons=f"{COHORT}/features/{{preset}}/{{set}}/patients/{{patient}}.reasons.parquet",
    log:
        "logs/extract_features/{cohort}/{preset}/{set}/{patient}.log",
    benchmark:
        "benchmarks/extract_features/{cohort}/{preset}/{set}/{patient}.tsv"
    group:
        "patient"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
    params:
        rois=once(PLAN.rois, "cohort", "preset"),
        images=once(PLAN.images, "cohort", "preset"),
    script:
        "../scripts/extract_features.py"


rule collect_features:
    input:
        patients=PATIENT_LIST,
        tables=of_patients(
            f"{COHORT}/features/{{preset}}/{{set}}/patients/{{patient}}.parquet"
        ),
        reasons=of_patients(
            f"{COHORT}/features/{{preset}}/{{set}}/patients/{{patient}}.reasons.parquet"
        ),
        images=of_rejected(
            "collect_features",
            "{cohort}.{preset}",
            f"{COHORT}/images/{{patient}}/images.json",
        ),
        masks=of_rejected(
            "collect_features",
            "{cohort}.{preset}",
            f"{COHORT}/masks/{{set}}/{{patient}}/masks.json",
        ),
        key=key_of("collect_features", "{cohort}.{preset}"),
    output:
        table=f"{COHORT}/features/{{preset}}/{{set}}/features.parquet",
        reasons=f"{COHORT}/features/{{preset}}/{{set}}/reasons.parquet",
    log:
        "logs/collect_features/{cohort}/{preset}/{set}.log",
    benchmark:
        "benchmarks/collect_features/{cohort}/{preset}/{set}.tsv"
    wildcard_constraints:
        cohort=WITH_IMAGES,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        rejected=rejected("collect_features", "{cohort}.{preset}"),
    script:
        "../scripts/collect_features.py"
