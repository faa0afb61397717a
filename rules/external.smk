# External validation: the frozen bundle of another analysis, applied to this cohort as it stands. Samples come from the
# same rule as everywhere; nothing is fitted here, so there are no splits.


rule apply_bundle:
    input:
        bundle=lambda wc: PLAN.bundle(wc.analysis),
        samples=f"{ANALYSIS}/samples.parquet",
        key=key_of("apply_bundle", "{analysis}"),
    output:
        predictions=f"{ANALYSIS}/predictions.parquet",
        outside=f"{ANALYSIS}/outside.json",
    log:
        "logs/apply_bundle/{analysis}.log",
    benchmark:
        "benchmarks/apply_bundle/{analysis}.tsv"
    wildcard_constraints:
        analysis=EXTERNAL,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
    params:
        analysis=lambda wc: PLAN.analysis_params(wc.analysis),
    script:
        "../scripts/apply_bundle.py"


rule evaluate_external:
    input:
        predictions=f"{ANALYSIS}/predictions.parquet",
        samples=f"{ANALYSIS}/samples.parquet",
        bundle=lambda wc: PLAN.bundle(wc.analysis),
        outside=f"{ANALYSIS}/outside.json",
        key=key_of("evaluate_external", "{analysis}"),
    output:
        evaluation=f"{ANALYSIS}/evaluation.json",
    log:
        "logs/evaluate_external/{analysis}.log",
    benchmark:
        "benchmarks/evaluate_external/{analysis}.tsv"
    wildcard_constraints:
        analysis=EXTERNAL,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        analysis=lambda wc: PLAN.analysis_params(wc.analysis),
    script:
        "../scripts/evaluate_external.py"


rule report_external:
    input:
        evaluation=f"{ANALYSIS}/evaluation.json",
        flow=f"{ANALYSIS}/flow.json",
        bundle=lambda wc: PLAN.bundle(wc.analysis),
        key=key_of("report_external", "{analysis}"),
    output:
        page=f"{ANALYSIS}/report.html",
        numbers=f"{ANALYSIS}/report.json",
    log:
        "logs/report_external/{analysis}.log",
    benchmark:
        "benchmarks/report_external/{analysis}.tsv"
    wildcard_constraints:
        analysis=EXTERNAL,
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
    params:
        settings=lambda wc: PLAN.external_page(wc.analysis),
    script:
        "../scripts/report_external.py"
