# Cohorts of 2D slices: one rule takes the place of everything between the source and volumes with masks.


# beside volume and masks the account of the files, where that of DICOM stands which stays in place
rule adopt_slices:
    input:
        state=source_state,
        key=key_of("adopt_slices"),
    output:
        pictures=f"{COHORT}/dicom/{{patient}}/images.json",
        contours=f"{COHORT}/dicom/{{patient}}/contours.json",
        image_folder=directory(f"{COHORT}/images/{{patient}}"),
        images=f"{COHORT}/images/{{patient}}/images.json",
        mask_folder=directory(f"{COHORT}/masks/manual/{{patient}}"),
        masks=f"{COHORT}/masks/manual/{{patient}}/masks.json",
    log:
        "logs/adopt_slices/{cohort}/{patient}.log",
    benchmark:
        "benchmarks/adopt_slices/{cohort}/{patient}.tsv"
    wildcard_constraints:
        cohort=cohorts_with("slices"),
    group:
        "patient"
    conda:
        "../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        settings=lambda wc: PLAN.slice_settings(wc.cohort),
        state=lambda wc: PLAN.state_folder(wc.cohort),
    script:
        "../scripts/adopt_slices.py"
