# Networks: cases, training one job a fold, masks drawn by networks that never saw the patient, scores, DICOM SEG, page.

FOLD = f"{ANALYSIS}/folds/r{{repeat}}f{{fold}}"


rule make_cases:
    input:
        patients=lambda wc: PLAN.of_cohort(wc.analysis, "patients.parquet"),
        series=lambda wc: PLAN.of_cohort(wc.analysis, "series.parquet"),
        images=lambda wc: NETS.manifests(wc.analysis, "images", PATIENTS),
        masks=lambda wc: NETS.manifests(wc.analysis, "masks", PATIENTS),
        key=key_of("make_cases", "{analysis}"),
    output:
        samples=f"{ANALYSIS}/samples.parquet",
        splits=f"{ANALYSIS}/splits.parquet",
        set_aside=f"{ANALYSIS}/set_aside.parquet",
        flow=f"{ANALYSIS}/flow.json",
    log:
        "logs/make_cases/{analysis}.log",
    benchmark:
        "benchmarks/make_cases/{analysis}.tsv"
    wildcard_constraints:
        analysis=SEGMENTING,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=20,
    params:
        analysis=lambda wc: NETS.case_params(wc.analysis),
        rejected=key_settings("make_cases", "{analysis}"),
    script:
        "../scripts/make_cases.py"


# one job a network and inner fold; its checkpoints lie outside the outputs, so that a killed job goes on from them
rule train_network:
    input:
        samples=f"{ANALYSIS}/samples.parquet",
        splits=f"{ANALYSIS}/splits.parquet",
        images=lambda wc: NETS.manifests(wc.analysis, "images", PATIENTS),
        masks=lambda wc: NETS.manifests(wc.analysis, "masks", PATIENTS),
        key=key_of("train_network", "{analysis}.{network}"),
    output:
        network=f"{FOLD}/networks/{{network}}/i{{inner}}/network.json",
        weights=f"{FOLD}/networks/{{network}}/i{{inner}}/weights.safetensors",
    log:
        "logs/train_network/{analysis}/{network}/r{repeat}f{fold}i{inner}.log",
    benchmark:
        "benchmarks/train_network/{analysis}/{network}/r{repeat}f{fold}i{inner}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=memory(8000),
        runtime=lambda wildcards, attempt: 720 * attempt,
    params:
        networks=lambda wc: NETS.params(wc.analysis),
        work="work/{analysis}",
    script:
        "../scripts/train_network.py"


rule predict_masks:
    input:
        samples=f"{ANALYSIS}/samples.parquet",
        splits=f"{ANALYSIS}/splits.parquet",
        networks=lambda wc: NETS.networks(wc.analysis, wc.repeat, wc.fold, wc.network),
        gate=lambda wc: NETS.gate(wc.analysis, wc.repeat, wc.fold, wc.network),
        images=lambda wc: NETS.manifests(wc.analysis, "images", PATIENTS),
        key=key_of("predict_masks", "{analysis}.{network}"),
    output:
        folder=directory(f"{FOLD}/masks/{{network}}"),
        manifest=f"{FOLD}/masks/{{network}}/masks.json",
    log:
        "logs/predict_masks/{analysis}/{network}/r{repeat}f{fold}.log",
    benchmark:
        "benchmarks/predict_masks/{analysis}/{network}/r{repeat}f{fold}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=memory(8000),
        runtime=240,
    params:
        networks=lambda wc: NETS.params(wc.analysis),
    script:
        "../scripts/predict_masks.py"
