"""Thin commands over the rooms: `python -m osteorad COMMAND`. `snakemake` remains the interface to the work itself.

Exit code 0: all is well; 1: something that the user can mend; 2: a bug, told with its traceback.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from osteorad.errors import ConfigError, UserError

if TYPE_CHECKING:
    from osteorad.cohort.plan import Plan

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except UserError as error:
        problems = error.problems if isinstance(error, ConfigError) else [str(error)]
        if options.json:
            print(json.dumps({"ok": False, "problems": problems}, indent=1))
        else:
            print("\n".join(problems), file=sys.stderr)
        return 1
    except Exception:  # the outermost edge: the only place where everything is caught, and shown
        traceback.print_exc()
        print(
            "This is a bug in osteorad, not in your settings. Please report it with the lines above.", file=sys.stderr
        )
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m osteorad", description="Commands over a working folder.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    check = commands.add_parser("check", help="find every problem of the settings and tables; say what a run costs")
    check.add_argument("--directory", type=Path, default=Path(), help="working folder (default: here)")
    check.set_defaults(command=_check)

    new = commands.add_parser("new", help="draft a working folder from a DICOM export")
    new.add_argument("folder", type=Path, metavar="FOLDER")
    new.add_argument("--dicom", type=Path, required=True, metavar="EXPORT", help="folder of the export")
    new.set_defaults(command=_new)

    why = commands.add_parser("why", help="say for each job that would run what changed, old against new")
    why.add_argument("targets", nargs="*", metavar="TARGET", help="files or rules, as for snakemake (default: all)")
    why.add_argument("--directory", type=Path, default=Path(), help="working folder (default: here)")
    why.set_defaults(command=_why)

    index = commands.add_parser("index", help="look through the exports: what each run does first, as a job of its own")
    index.add_argument("--directory", type=Path, default=Path(), help="working folder (default: here)")
    index.set_defaults(command=_index)

    prune = commands.add_parser("prune", help="remove a patient who withdrew, and results of people no longer there")
    prune.add_argument("patient", nargs="?", metavar="PATIENT", help="pseudonym; none: only orphans are removed")
    prune.add_argument("--directory", type=Path, default=Path(), help="working folder (default: here)")
    prune.add_argument("--dry-run", "-n", action="store_true", help="only say what would be removed")
    prune.add_argument("--cohort", metavar="COHORT", help="whose patient, where several cohorts have one of this name")
    prune.add_argument(
        "--nothing-runs", action="store_true", help="your word that no run is active, where no lock can tell"
    )
    prune.set_defaults(command=_prune)

    release = commands.add_parser("release", help="pack what may leave: reports, figures of groups, bundles")
    release.add_argument("file", type=Path, metavar="FILE.zip", help="written anew")
    release.add_argument("analyses", nargs="*", metavar="ANALYSIS", help="default: all that a plain run makes")
    release.add_argument("--directory", type=Path, default=Path(), help="working folder (default: here)")
    release.set_defaults(command=_release)

    schema = commands.add_parser("schema", help="write the JSON schemas, the reference and the glossary")
    schema.set_defaults(command=_schema)

    table = commands.add_parser("audit-table", help="say which integer counts can stand behind published results")
    table.add_argument("table", type=Path, metavar="CSV", help="a row a model: sensitivity, specificity, accuracy, ...")
    table.add_argument(
        "--positives", type=_count, metavar="N", help="size of the positive class, if no column tells it"
    )
    table.add_argument("--negatives", type=_count, metavar="N", help="size of the negative class")
    table.add_argument("--digits", type=_count, metavar="D", help="digits printed, where zeros at the end were lost")
    table.add_argument("--most", type=_count, default=400, metavar="N", help="largest class tried (default: 400)")
    table.set_defaults(command=_audit_table)

    verify = commands.add_parser("verify-deid", help="search outputs for what the originals say about people")
    verify.add_argument("folder", type=Path, metavar="FOLDER", help="searched but for private/ and the originals")
    verify.add_argument(
        "--dicom", type=Path, action="append", default=[], metavar="EXPORT", help="originals, in place of config.yaml's"
    )
    verify.add_argument("--table", type=Path, action="append", default=[], metavar="FILE", help="an original table")
    verify.add_argument("--values", type=Path, action="append", default=[], metavar="LIST", help="one value a line")
    verify.set_defaults(command=_verify_deid)

    for command in (check, new, why, index, prune, release, schema, table, verify):
        command.add_argument("--json", action="store_true", help="print JSON, for programs")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("wanted a whole number, 1 or more")
    return int(text)


def _check(options: argparse.Namespace) -> int:
    from osteorad.cohort.check import Report, check_loaded
    from osteorad.cohort.known import known_of
    from osteorad.cohort.load import load

    try:
        loaded = load(options.directory, ROOT)
        report = check_loaded(loaded, known_of(loaded))
    except ConfigError as error:
        report = Report(problems=error.problems)
    if options.json:
        print(json.dumps(report.as_dict(), indent=1, sort_keys=True))
        return int(bool(report.problems))
    if report.problems:
        print("\n".join(report.problems), file=sys.stderr, flush=True)
    for note in report.notes:
        print(f"note: {note}")
    if report.forecast is not None and not report.problems:
        print(f"forecast: {report.forecast.sentence()}")
    count = len(report.problems)
    print("no problem found" if not count else f"{count} problem{'s' if count > 1 else ''} found")
    return int(bool(count))


def _new(options: argparse.Namespace) -> int:
    from osteorad.cohort.new import new_folder

    lines = new_folder(options.folder, options.dicom)
    print(json.dumps({"ok": True, "next": lines}, indent=1) if options.json else "\n".join(lines))
    return 0


def _why(options: argparse.Namespace) -> int:
    from osteorad.cohort.load import load
    from osteorad.cohort.why import as_dict, dry_run, explain, jobs_of, lines

    folder = options.directory.resolve()
    load(folder, ROOT)  # problems of the settings in their own words, not in Snakemake's
    found = explain(jobs_of(dry_run(ROOT, folder, options.targets)), folder)
    print(json.dumps(as_dict(found), indent=1) if options.json else "\n".join(lines(found)))
    return 0


def _index(options: argparse.Namespace) -> int:
    from osteorad.cohort.plan import load_plan
    from osteorad.dicom import index

    sources = load_plan(options.directory.resolve(), ROOT).sources
    found = {name: len(index.update(source)) for name, source in sorted(sources.items())}
    if options.json:
        print(json.dumps({"ok": True, "patients": found}, indent=1))
    else:
        told = [f"cohort {name}: {count} patients" for name, count in found.items()]
        print("\n".join(told or ["no cohort reads a DICOM export"]))
    return 0


def _prune(options: argparse.Namespace) -> int:
    from osteorad.cohort.plan import load_plan
    from osteorad.cohort.prune import prune
    from osteorad.cohort.sources import read_withdrawn
    from osteorad.dicom import index

    folder = options.directory.resolve()
    plan = load_plan(folder, ROOT)
    current = {
        name: {*_patients(plan, name), *plan.withdrawn(name)} for name, c in plan.config.cohorts.items() if not c.table
    }
    done = prune(
        plan.loaded,
        options.patient,
        current,
        cohort=options.cohort,
        dry_run=options.dry_run,
        nothing_runs=options.nothing_runs,
    )
    if options.json:
        print(json.dumps({"ok": True, **done.as_dict()}, indent=1))
    else:
        print("\n".join(done.lines()))
    if not options.dry_run:
        for source in plan.sources.values():  # somebody is on the list now
            index.update(replace(source, withdrawn=read_withdrawn(source.state)))
    return 0


def _patients(plan: Plan, cohort: str) -> list[str]:
    from osteorad.dicom import index

    if cohort in plan.sources:
        return index.update(plan.sources[cohort])
    return plan.patients_without_source(cohort)


def _release(options: argparse.Namespace) -> int:
    from osteorad.cohort.load import load
    from osteorad.cohort.release import STAYS, release

    done = release(load(options.directory.resolve(), ROOT), options.analyses, options.file)
    if options.json:
        print(json.dumps({"ok": True, "packed": done.packed, "remarks": done.remarks, "stays": STAYS}, indent=1))
    else:
        print("\n".join(done.lines()))
    return 0


def _schema(options: argparse.Namespace) -> int:
    from osteorad.cohort import reference
    from osteorad.reporting import glossary

    written = [*reference.write(ROOT), *glossary.write(ROOT)]
    if options.json:
        print(json.dumps({"ok": True, "written": written}, indent=1))
    else:
        print("\n".join(f"written: {path}" for path in written) or "nothing to write")
    return 0


def _audit_table(options: argparse.Namespace) -> int:
    from osteorad.modelling.audit_table import audit_rows, lines, read_rows

    rows = read_rows(options.table, positives=options.positives, negatives=options.negatives, digits=options.digits)
    found = audit_rows(rows, most=options.most)
    print(json.dumps(found, indent=1) if options.json else "\n".join(lines(found)))
    return 0


def _verify_deid(options: argparse.Namespace) -> int:
    from osteorad.verify.cohorts import verify
    from osteorad.verify.progress import Progress
    from osteorad.verify.summary import keep_summaries

    given = {"lists": options.values, "exports": options.dicom, "tables": options.table}
    progress = Progress(sys.stderr) if sys.stderr.isatty() else None
    found = verify(options.folder, ROOT, **given, progress=progress)
    kept = [] if any(given.values()) else keep_summaries(options.folder, ROOT, found)
    if kept and not options.json:
        print(f"kept for the privacy page, written by the next run: {', '.join(kept)}")
    print(json.dumps(found.as_dict(), indent=1, sort_keys=True) if options.json else "\n".join(found.lines()))
    return int(not found.clean)


if __name__ == "__main__":
    sys.exit(main())
