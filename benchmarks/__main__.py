"""Take the measurements that are named, or all, and print the table: `python -m benchmarks [NAME ...]`."""

from __future__ import annotations

import argparse
import difflib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.inputs import NORMAL, TINY, Inputs
from benchmarks.measure import ProcessFailedError
from benchmarks.table import Line, render


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 1 where a name is unknown or a measurement broke off. A missed bar is shown, not an error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, epilog=_listing(), **_RAW)
    parser.add_argument("names", nargs="*", metavar="NAME", help="measurements to take; all where none is named")
    parser.add_argument("--list", action="store_true", help="list the measurements and stop")
    parser.add_argument("--tiny", action="store_true", help="tiny inputs, once each: a trial, its figures mean nothing")
    options = parser.parse_args(arguments)
    if options.list:
        print(_listing())
        return 0
    if unknown := [name for name in options.names if name not in CASES]:
        print(_unknown(unknown), file=sys.stderr)
        return 1
    names = [name for name in CASES if name in options.names or not options.names]
    with tempfile.TemporaryDirectory(prefix="osteorad-bench-") as folder:
        lines, broken = _take(names, Inputs(folder=Path(folder), sizes=TINY if options.tiny else NORMAL))
    print(render(lines))
    if options.tiny:
        print("Tiny inputs, once each: these figures and verdicts mean nothing.")
    if broken:
        print(f"Broke off, told above: {', '.join(broken)}.")
    return 1 if broken else 0


_RAW = {"formatter_class": argparse.RawDescriptionHelpFormatter}


def _take(names: Sequence[str], inputs: Inputs) -> tuple[list[Line], list[str]]:
    """Lines, each shown as soon as it is known, and the names of what broke off, which costs no other its figures."""
    lines: list[Line] = []
    broken = []
    for name in names:
        print(f"== {name}: {_title(name)}", file=sys.stderr, flush=True)
        try:
            found = CASES[name](inputs)
        except ProcessFailedError as error:
            print(error, file=sys.stderr, flush=True)
            broken.append(name)
            continue
        for line in found:
            print(" | ".join(cell for cell in line.cells() if cell), file=sys.stderr, flush=True)
        lines += found
    return lines, broken


def _title(name: str) -> str:
    return (CASES[name].__doc__ or "").strip().splitlines()[0]


def _listing() -> str:
    return "\n".join(f"{name:<12}{_title(name)}" for name in CASES)


def _unknown(names: Sequence[str]) -> str:
    texts = []
    for name in names:
        close = difflib.get_close_matches(name, CASES, n=1)
        nearest = f" Did you mean '{close[0]}'?" if close else ""
        texts.append(f"unknown measurement '{name}'.{nearest} Valid: {', '.join(CASES)}.")
    return "\n".join(texts)


if __name__ == "__main__":
    sys.exit(main())
