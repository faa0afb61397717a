# What Snakemake does anew for each job although the answer is the same. A first dry run of 2,000 patients has 18,000 jobs,
# and what stands here halves it (`python -m benchmarks dryrun`). Nothing here changes what is run.
import atexit
import gc
import io
from functools import cache

import snakemake.common
import snakemake.rules
from snakemake.iocontainers import ResourceList
from snakemake.jobs import Job
from snakemake.rules import Rule

# The graph of 2,000 patients is millions of objects that all live to the end. Looking through them for dead ones was a
# seventh of a dry run, and taking them down one by one at the end, when the memory goes back anyway, an eighth.
gc.set_threshold(200_000, 20, 20)
atexit.register(gc.freeze)


def ask_once(sources):
    """Let Snakemake's cache of source files read each file once, not for every job whose script it is."""
    opened = sources.open

    @cache
    def content(source, mode):
        with opened(source, mode) as file:
            return file.read()

    def reopened(source, mode="r"):
        text = content(source, mode)
        return io.BytesIO(text) if "b" in mode else io.StringIO(text)

    sources.open, sources.exists, sources.get_path = (
        reopened,
        cache(sources.exists),
        cache(sources.get_path),
    )


ask_once(workflow.sourcecache)

# For every job Snakemake inspects what its rule's functions take, and no function here comes to take something else.
taken_by = cache(snakemake.common.get_function_params)
snakemake.common.get_function_params = taken_by
snakemake.rules.get_function_params = taken_by


def expand_once(expand):
    """Let a rule's resources be worked out once for each attempt, not for each job.

    Ours depend on nothing else (`memory` and `minutes` in common.smk: `_` stands where the wildcards would). What a
    profile sets may: an expression with the input or the wildcards is worked out for each job.
    """
    kept = {}

    def its_own(resource):
        if isinstance(resource.raw, str):
            return "input" in resource.raw or "wildcards" in resource.raw
        return resource.is_evaluable() and [*taken_by(resource._evaluator)] != [
            "_",
            "attempt",
        ]

    def expanded(rule, wildcards, input, attempt, skip_evaluation=()):
        key = rule.name, attempt, tuple(skip_evaluation)
        if key not in kept:
            resources = expand(rule, wildcards, input, attempt, skip_evaluation)
            if any(its_own(resource) for resource in rule.resources.values()):
                return resources
            kept[key] = resources
        return ResourceList(kept[key])

    return expanded


Rule.expand_resources = expand_once(Rule.expand_resources)

# No environment here depends on a job's parameters; Snakemake works them out, and keeps them, only to ask for it.
Job.conda_env_spec = property(lambda job: job.rule.expand_conda_env(job.wildcards_dict))
