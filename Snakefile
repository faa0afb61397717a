# Settings, rule files, default target. Everything else stands in rules/ and osteorad/.
from snakemake.utils import min_version

min_version("9.0")


include: "rules/cluster.smk"
include: "rules/speed.smk"
include: "rules/common.smk"
include: "rules/phantom.smk"
include: "rules/ingest.smk"
include: "rules/slices.smk"
include: "rules/tables.smk"
include: "rules/features.smk"
include: "rules/cohort.smk"
include: "rules/analysis.smk"
include: "rules/external.smk"
include: "rules/segmentation.smk"
include: "rules/history.smk"


rule all:
    default_target: True
    input:
        lambda wildcards: [*PLAN.targets(PATIENTS), *NETS.targets()],


localrules:
    all,
