"""Removes people from a working folder: those who withdrew, and those whom the source no longer holds.

Whoever withdrew goes on the list that ingest obeys before anything is removed, so that a prune that is cut off is
finished by the next one. What was made of several people together is removed whole; the next run makes it without.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from osteorad.active import Others, others
from osteorad.cohort.load import Loaded
from osteorad.cohort.pruned import Pruned
from osteorad.cohort.sources import read_withdrawn
from osteorad.cohort.withdrawal import own_files, people_of, withdraw
from osteorad.errors import UserError, unknown_name

KEYED = ("dicom", "phantom")  # sources whose pseudonyms tell people apart across cohorts
NOT_KNOWN = {
    Others.ELSEWHERE: "a run on another machine left its lock here, and only that machine can tell whether it still "
    "works. Run prune there, or make sure that nothing runs",
    Others.UNKNOWN: "this file system has no locks, so it cannot be told whether a run of Snakemake is active here. "
    "Make sure that none is, on any machine",
}


def prune(
    loaded: Loaded,
    patient: str | None,
    current: Mapping[str, Collection[str]],
    *,
    cohort: str | None = None,
    dry_run: bool = False,
    nothing_runs: bool = False,
) -> Pruned:
    """Remove a patient who withdrew (None: nobody), and every orphan: results of people whom no source holds.

    patient : pseudonym. current : cohort -> patients whom its source holds now, withdrawn ones included. cohort : whose
    patient, where several cohorts have one of this name. nothing_runs : the user's word, where no lock can tell.
    Raises UserError where nobody has this pseudonym or several may, a run is active or may be, or the cohort was
    ingested elsewhere.
    """
    with others(loaded.workdir) as found:
        _refuse_company(loaded, found, dry_run or nothing_runs)
        done = Pruned(dry_run=dry_run)
        if patient is not None:
            withdraw(loaded, patient, *_cohorts_of(loaded, patient, current, cohort), done)
        for name in loaded.config.cohorts:
            _orphans(loaded, name, {*current.get(name, ())}, done)
        return done


def _refuse_company(loaded: Loaded, found: Others, on_word: bool) -> None:
    if found is Others.ACTIVE:
        raise UserError(f"{loaded.workdir}: a run of Snakemake is active here. Wait for its end.")
    if found in NOT_KNOWN and not on_word:
        raise UserError(f"{loaded.workdir}: {NOT_KNOWN[found]}; then say so with --nothing-runs.")


def _cohorts_of(
    loaded: Loaded, patient: str, current: Mapping[str, Collection[str]], cohort: str | None
) -> tuple[list[str], list[str]]:
    """Cohorts that the patient leaves, and those where somebody else has the same name."""
    cohorts = loaded.config.cohorts
    if cohort is not None and cohort not in cohorts:
        raise UserError(unknown_name("cohort", cohort, cohorts, "--cohort"))
    people = {name: people_of(loaded, name) | {*current.get(name, ())} for name in cohorts}
    found = [name for name, known in people.items() if patient in known]
    asked = [name for name in found if cohort in (None, name)]
    if not asked:
        everybody = sorted(set().union(*(people[name] for name in cohorts if cohort in (None, name))))
        where = "pseudonyms stand in private/<cohort>/pseudonyms.tsv"
        raise UserError(unknown_name("patient", patient, everybody, where))
    if cohort is None and len(found) > 1 and any(cohorts[name].source not in KEYED for name in found):
        raise UserError(
            f"cohorts {', '.join(found)} have a patient {patient}, and nobody can tell whether that is one person: "
            "their pseudonyms came with them. Say which with --cohort, once for each."
        )
    for name in asked:
        if loaded.whole(name) and patient in current.get(name, ()):
            raise UserError(
                f"cohort {name} was ingested at another site. Withdraw the patient there, copy the folder "
                "again (rsync --delete), then run prune here."
            )
    return asked, [name for name in found if name not in asked and patient not in read_withdrawn(loaded.state(name))]


def _orphans(loaded: Loaded, cohort: str, current: set[str], done: Pruned) -> None:
    """Remove results of people who are in no source; nothing where a source is empty, which is rather a mistake."""
    folder = loaded.path(f"results/cohorts/{cohort}")
    made = {path.name for pattern in ("dicom/*", "images/*") for path in folder.glob(pattern) if path.is_dir()}
    gone = sorted(made - current - set(read_withdrawn(loaded.state(cohort))))
    if not gone:
        return
    if not current:
        done.left.append(f"cohort {cohort}: its source holds nobody, so the results of {len(gone)} patients stay.")
        return
    for patient in gone:
        done.told.append(f"orphan: {patient} of cohort {cohort}, whom the source no longer holds")
        own_files(loaded, cohort, patient, done)
