# What all other files here lean on: settings, patients, keys. The main process lists the sources and writes state and keys
# (contract 9); job processes only read them.
import os
import sys
from functools import cache
from pathlib import Path

# One thread a job in every numerical library: the same bytes whatever the number of cores (contract 8).
for _name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "ITK_GLOBAL_DEFAULT_NUMBER_OF"):
    os.environ.setdefault(
        f"{_name}_{'THREADS' if _name.startswith('ITK') else 'NUM_THREADS'}", "1"
    )
os.environ.setdefault("PYTHONHASHSEED", "0")

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(workflow.basedir))

from osteorad import active
from osteorad.cohort import check, keys, plan, review
from osteorad.cohort.known import known_of
from osteorad.cohort.network_plan import NetworkPlan
from osteorad.dicom import index
from osteorad.errors import UserError

ROOT = Path(str(workflow.basedir))
WORKDIR = Path.cwd()

try:
    PLAN = plan.load_plan(WORKDIR, ROOT)
    if workflow.is_main_process:
        ACTIVE = active.hold(WORKDIR)  # open for as long as this process lives
        for _source in PLAN.sources.values():
            index.update(_source)
        check.require(PLAN.loaded, known_of(PLAN.loaded))
        keys.write_keys(
            ROOT,
            WORKDIR,
            PLAN.config,
            PLAN.recipes,
            review.reviews_of(PLAN.loaded),
            PLAN.loaded.segmentations,
        )
    PATIENTS = {
        cohort: (
            index.patients(PLAN.sources[cohort])
            if cohort in PLAN.sources
            else PLAN.patients_without_source(cohort)
        )
        for cohort in PLAN.config.cohorts
    }
    if workflow.is_main_process:
        keys.write_patients(
            WORKDIR, PATIENTS, {name: len(PLAN.withdrawn(name)) for name in PATIENTS}
        )
except UserError as error:
    raise WorkflowError(str(error)) from None

NETS = NetworkPlan(plan=PLAN)
PRIVATE = PLAN.config.private_dir
COHORT = "results/cohorts/{cohort}"
ANALYSIS = "results/analyses/{analysis}"


wildcard_constraints:
    cohort="[a-z0-9][a-z0-9-]*",
    analysis="[a-z0-9][a-z0-9-]*",
    patient="[A-Za-z0-9._-]+",
    preset="[a-z0-9][a-z0-9-]*",
    set="[a-z0-9][a-z0-9-]*",
    grid="[a-z0-9][a-z0-9-]*",
    network="[a-z0-9][a-z0-9-]*",
    repeat="[0-9]+",
    fold="[0-9]+",
    inner="[0-9]+",


def key_of(name, scope="{cohort}"):
    """The key file: settings that are used, digest of code and data."""
    return keys.key_path(name, scope)


PATIENT_LIST = keys.patients_path("{cohort}")


def of_patients(pattern):
    """An input function: the pattern for every patient of the wildcard's cohort.

    What another input is made from is not named again: 2,000 names cost each start 3 MB.
    """
    return lambda wildcards: [
        pattern.format(patient=p, **wildcards) for p in PATIENTS[wildcards.cohort]
    ]


def once(function, *names):
    """A function of wildcards: what `function` says of the wildcards with these names, one object for all jobs alike."""
    said = cache(function)
    return lambda wildcards: said(*(wildcards[name] for name in names))


def key_settings(name, scope="{cohort}"):
    """A function of wildcards: the settings in a rule's key, as the main process wrote them."""
    return lambda wildcards: keys.settings_of(WORKDIR, name, scope.format(**wildcards))


def rejected(name, scope="{cohort}"):
    """A function of wildcards: verdicts that make something leave, as a rule's key says them."""
    return lambda wildcards: key_settings(name, scope)(wildcards)["rejected"]


def of_rejected(name, scope, pattern):
    """An input function: the pattern for every patient with such a verdict."""

    def files(wildcards):
        patients = rejected(name, scope)(wildcards)  # from a file: asked once
        return [
            pattern.format(patient=p, **wildcards)
            for p in PATIENTS[wildcards.cohort]
            if p in patients
        ]

    return files


def source_state(wildcards):
    """What tells that a patient's source changed: the phantom's own manifest, or the state file of an export."""
    if wildcards.cohort in PLAN.sources:
        return str(PLAN.state_file(wildcards.cohort, wildcards.patient))
    return f"{PRIVATE}/{wildcards.cohort}/source/{wildcards.patient}/manifest.json"


def cohorts_with(*sources):
    """A wildcard constraint: the cohorts that come from these sources."""
    return "|".join(PLAN.cohorts_from(*sources)) or "(?!)"


def ingested_with(*sources):
    """The same without those that another site ingested."""
    return "|".join(PLAN.ingested_from(*sources)) or "(?!)"


def analyses_with(bundle):
    """A wildcard constraint: the analyses that apply a frozen bundle, or those that learn."""
    return "|".join(PLAN.analyses_of(bundle)) or "(?!)"


LEARNING, EXTERNAL = analyses_with(False), analyses_with(True)
SEGMENTING = "|".join(PLAN.loaded.segmentations) or "(?!)"
AUTOMATIC = "|".join(NETS.automatic()) or "(?!)"
OUTCOME = "|".join(PLAN.recipes) or "(?!)"


# The first parameter is `_`: what does not look at the wildcards is worked out once a rule, not for each job (speed.smk).
def memory(mb):
    """Memory in MB, more at each attempt."""
    return lambda _, attempt: mb * attempt


def minutes(count):
    """Time in minutes, more at each attempt."""
    return lambda _, attempt: count * attempt
