# What Snakemake does anew for each job although the answer is the same. A first dry run of 2,000 patients has 18,000 jobs,
# and what stands here takes a third off it (`python -m benchmarks dryrun`). Nothing here changes what is run.
import atexit
import gc
import inspect
import io
from functools import cache

from snakemake.jobs import Job
from snakemake.resources import Resource

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

# Snakemake asks twice for the signature of this method for each resource of each job; with this, inspect keeps it.
Resource.evaluate.__signature__ = inspect.signature(Resource.evaluate)

# No environment here depends on a job's parameters; Snakemake works them out, and keeps them, only to ask for it.
Job.conda_env_spec = property(lambda job: job.rule.expand_conda_env(job.wildcards_dict))
