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
        runtime=minutes(20),
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
        runtime=720,  # a retry goes on where this one stopped
    params:
        cohort=lambda wc: PLAN.config.analyses[wc.analysis].cohort,
        settings=lambda wc: NETS.settings(wc.analysis).model_dump(mode="json"),
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
        runtime=minutes(240),
    params:
        cohort=lambda wc: PLAN.config.analyses[wc.analysis].cohort,
        settings=lambda wc: NETS.settings(wc.analysis).model_dump(mode="json"),
    script:
        "../scripts/predict_masks.py"


# features follow the masks that the fold's networks drew: an outcome analysis on automatic masks
rule extract_fold_features:
    input:
        masks=lambda wc: NETS.masks(wc.analysis, wc.repeat, wc.fold, wc.network),
        images=lambda wc: NETS.manifests(wc.analysis, "images", PATIENTS),
        grids=lambda wc: NETS.grids(wc.analysis, PATIENTS),
        key=key_of("extract_fold_features", "{analysis}"),
    output:
        table=f"{FOLD}/features/{{network}}/features.parquet",
        reasons=f"{FOLD}/features/{{network}}/reasons.parquet",
    log:
        "logs/extract_fold_features/{analysis}/{network}/r{repeat}f{fold}.log",
    benchmark:
        "benchmarks/extract_fold_features/{analysis}/{network}/r{repeat}f{fold}.tsv"
    wildcard_constraints:
        analysis=AUTOMATIC,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(240),
    params:
        analysis=lambda wc: PLAN.analysis_params(wc.analysis),
    script:
        "../scripts/extract_fold_features.py"


rule make_fold_samples:
    input:
        samples=f"{ANALYSIS}/samples.parquet",
        features=lambda wc: NETS.fold_features(wc.analysis, wc.repeat, wc.fold),
        key=key_of("make_fold_samples", "{analysis}"),
    output:
        samples=f"{FOLD}/samples.parquet",
    log:
        "logs/make_fold_samples/{analysis}/r{repeat}f{fold}.log",
    benchmark:
        "benchmarks/make_fold_samples/{analysis}/r{repeat}f{fold}.tsv"
    wildcard_constraints:
        analysis=AUTOMATIC,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
    params:
        analysis=lambda wc: PLAN.analysis_params(wc.analysis),
    script:
        "../scripts/make_fold_samples.py"


rule score_masks:
    input:
        masks=lambda wc: NETS.masks(wc.analysis, 1, 1, wc.network),
        manual=lambda wc: NETS.manifests(wc.analysis, "masks", PATIENTS),
        images=lambda wc: NETS.manifests(wc.analysis, "images", PATIENTS),
        lesions=lambda wc: PLAN.lesions(
            PLAN.config.analyses[wc.analysis].cohort, "lesions.parquet"
        ),
        key=key_of("score_masks", "{analysis}.{network}"),
    output:
        cases=f"{ANALYSIS}/scores/{{network}}/case_scores.parquet",
        lesions=f"{ANALYSIS}/scores/{{network}}/lesion_scores.parquet",
        scores=f"{ANALYSIS}/scores/{{network}}/scores.json",
    log:
        "logs/score_masks/{analysis}/{network}.log",
    benchmark:
        "benchmarks/score_masks/{analysis}/{network}.tsv"
    wildcard_constraints:
        analysis=SEGMENTING,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
    params:
        scores=key_settings("score_masks", "{analysis}.{network}"),
    script:
        "../scripts/score_masks.py"


rule export_seg:
    input:
        masks=lambda wc: NETS.masks(wc.analysis, 1, 1, wc.network),
        images=lambda wc: NETS.manifests(wc.analysis, "images", PATIENTS),
        dicom=lambda wc: NETS.manifests(wc.analysis, "dicom", PATIENTS),
        key=key_of("export_seg", "{analysis}.{network}"),
    output:
        folder=directory(f"{ANALYSIS}/seg/{{network}}"),
        manifest=f"{ANALYSIS}/seg/{{network}}/seg.json",
    log:
        "logs/export_seg/{analysis}/{network}.log",
    benchmark:
        "benchmarks/export_seg/{analysis}/{network}.tsv"
    wildcard_constraints:
        analysis=SEGMENTING,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
    params:
        source=lambda wc: NETS.source_folder(wc.analysis),
        settings=key_settings("export_seg", "{analysis}.{network}"),
    script:
        "../scripts/export_seg.py"


rule report_segmentation:
    input:
        scores=lambda wc: NETS.scores(wc.analysis, "scores.json"),
        cases=lambda wc: NETS.scores(wc.analysis, "case_scores.parquet"),
        lesions=lambda wc: NETS.scores(wc.analysis, "lesion_scores.parquet"),
        networks=lambda wc: NETS.all_networks(wc.analysis),
        drawn=lambda wc: NETS.all_masks(wc.analysis),
        images=lambda wc: NETS.manifests(wc.analysis, "images", PATIENTS),
        masks=lambda wc: NETS.manifests(wc.analysis, "masks", PATIENTS),
        flow=f"{ANALYSIS}/flow.json",
        key=key_of("report_segmentation", "{analysis}"),
    output:
        page=f"{ANALYSIS}/report.html",
        numbers=f"{ANALYSIS}/report.json",
    log:
        "logs/report_segmentation/{analysis}.log",
    benchmark:
        "benchmarks/report_segmentation/{analysis}.tsv"
    wildcard_constraints:
        analysis=SEGMENTING,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(30),
    params:
        settings=lambda wc: NETS.page(wc.analysis),
    script:
        "../scripts/report_segmentation.py"
