# From features and clinical table to an audited report.


rule make_samples:
    input:
        patients=lambda wc: PLAN.of_cohort(wc.analysis, "patients.parquet"),
        series=lambda wc: PLAN.of_cohort(wc.analysis, "series.parquet"),
        clinical=lambda wc: PLAN.clinical(PLAN.config.analyses[wc.analysis].cohort),
        lesions=lambda wc: PLAN.lesion_outcomes(wc.analysis),
        second=lambda wc: PLAN.second_features(wc.analysis),
        shuffled=lambda wc: PLAN.shuffled_features(wc.analysis),
        features=lambda wc: PLAN.features(wc.analysis, "features.parquet"),
        reasons=lambda wc: PLAN.features(wc.analysis, "reasons.parquet"),
        key=key_of("make_samples", "{analysis}"),
    output:
        samples=f"{ANALYSIS}/samples.parquet",
        set_aside=f"{ANALYSIS}/set_aside.parquet",
        flow=f"{ANALYSIS}/flow.json",
    log:
        "logs/make_samples/{analysis}.log",
    benchmark:
        "benchmarks/make_samples/{analysis}.tsv"
    wildcard_constraints:
        analysis=OUTCOME,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        analysis=lambda wc: PLAN.analysis_params(wc.analysis),
    script:
        "../scripts/make_samples.py"


rule make_splits:
    input:
        samples=f"{ANALYSIS}/samples.parquet",
        key=key_of("make_splits", "{analysis}"),
    output:
        splits=f"{ANALYSIS}/splits.parquet",
    log:
        "logs/make_splits/{analysis}.log",
    benchmark:
        "benchmarks/make_splits/{analysis}.tsv"
    wildcard_constraints:
        analysis=LEARNING,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        analysis=lambda wc: PLAN.analysis_params(wc.analysis),
    script:
        "../scripts/make_splits.py"


rule fit_models:
    input:
        samples=f"{ANALYSIS}/samples.parquet",
        splits=f"{ANALYSIS}/splits.parquet",
        fold_samples=lambda wc: NETS.fold_samples(wc.analysis),
        fold_masks=lambda wc: NETS.fold_masks(wc.analysis),
        fold_networks=lambda wc: NETS.fold_networks(wc.analysis),
        key=key_of("fit_models", "{analysis}"),
    output:
        predictions=f"{ANALYSIS}/predictions.parquet",
        steps=f"{ANALYSIS}/steps.parquet",
        selection=f"{ANALYSIS}/selection.parquet",
        lineage=f"{ANALYSIS}/lineage.json",
        models=directory(f"{ANALYSIS}/models"),
        manifest=f"{ANALYSIS}/models/models.json",
    log:
        "logs/fit_models/{analysis}.log",
    benchmark:
        "benchmarks/fit_models/{analysis}.tsv"
    wildcard_constraints:
        analysis=LEARNING,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(120),
    params:
        analysis=lambda wc: PLAN.analysis_params(wc.analysis),
    script:
        "../scripts/fit_models.py"


rule freeze_bundle:
    input:
        samples=f"{ANALYSIS}/samples.parquet",
        splits=f"{ANALYSIS}/splits.parquet",
        key=key_of("freeze_bundle", "{analysis}"),
    output:
        bundle=f"{ANALYSIS}/bundle/bundle.json",
    log:
        "logs/freeze_bundle/{analysis}.log",
    benchmark:
        "benchmarks/freeze_bundle/{analysis}.tsv"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        analysis=lambda wc: PLAN.analysis_params(wc.analysis),
    script:
        "../scripts/freeze_bundle.py"


rule audit_analysis:
    input:
        samples=f"{ANALYSIS}/samples.parquet",
        splits=f"{ANALYSIS}/splits.parquet",
        predictions=f"{ANALYSIS}/predictions.parquet",
        steps=f"{ANALYSIS}/steps.parquet",
        selection=f"{ANALYSIS}/selection.parquet",
        lineage=f"{ANALYSIS}/lineage.json",
        fold_samples=lambda wc: NETS.fold_samples(wc.analysis),
        fold_masks=lambda wc: NETS.fold_masks(wc.analysis),
        fold_networks=lambda wc: NETS.fold_networks(wc.analysis),
        key=key_of("audit_analysis", "{analysis}"),
    output:
        audit=f"{ANALYSIS}/audit.json",
    log:
        "logs/audit_analysis/{analysis}.log",
    benchmark:
        "benchmarks/audit_analysis/{analysis}.tsv"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
    params:
        analysis=lambda wc: PLAN.analysis_params(wc.analysis),
    script:
        "../scripts/audit_analysis.py"


rule evaluate_analysis:
    input:
        predictions=f"{ANALYSIS}/predictions.parquet",
        selection=f"{ANALYSIS}/selection.parquet",
        samples=f"{ANALYSIS}/samples.parquet",
        fold_samples=lambda wc: NETS.fold_samples(wc.analysis),
        key=key_of("evaluate_analysis", "{analysis}"),
    output:
        evaluation=f"{ANALYSIS}/evaluation.json",
    log:
        "logs/evaluate_analysis/{analysis}.log",
    benchmark:
        "benchmarks/evaluate_analysis/{analysis}.tsv"
    wildcard_constraints:
        analysis=LEARNING,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        analysis=lambda wc: PLAN.analysis_params(wc.analysis),
    script:
        "../scripts/evaluate_analysis.py"


rule report_analysis:
    input:
        evaluation=f"{ANALYSIS}/evaluation.json",
        audit=f"{ANALYSIS}/audit.json",
        flow=f"{ANALYSIS}/flow.json",
        lineage=f"{ANALYSIS}/lineage.json",
        bundle=f"{ANALYSIS}/bundle/bundle.json",
        truth=lambda wc: PLAN.truth(wc.analysis),
        key=key_of("report_analysis", "{analysis}"),
    output:
        page=f"{ANALYSIS}/report.html",
        numbers=f"{ANALYSIS}/report.json",
    log:
        "logs/report_analysis/{analysis}.log",
    benchmark:
        "benchmarks/report_analysis/{analysis}.tsv"
    wildcard_constraints:
        analysis=LEARNING,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
    params:
        settings=lambda wc: PLAN.analysis_page(wc.analysis),
    script:
        "../scripts/report_analysis.py"
