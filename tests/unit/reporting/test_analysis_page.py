"""The analysis page: the answer by rule, and every number from report.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osteorad.files import read_json, write_json
from osteorad.reporting.analysis_page import analysis_report, write_analysis_page, write_refused_page
from osteorad.reporting.check import check_page
from osteorad.reporting.index_page import index_report, write_index
from osteorad.reporting.render import render_page
from osteorad.reporting.sentences import answer_sentence, methods_texts, settings_compared
from tests.unit.reporting import invented_analysis as invented


def _report(**more: Any) -> dict[str, Any]:
    return analysis_report(**invented.arguments(**more))


def _section(told: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in told["sections"] if entry["id"] == name)


@pytest.mark.parametrize(
    "more",
    [{}, {"truth": None}, {"patients": 25, "events": 9}, {"audit": invented.audit("fail")}, {"overrides": {}}],
)
def test_page_is_sound(more: dict[str, Any]) -> None:
    told = _report(**more)
    html = render_page(told)
    assert check_page(html, told) == []
    assert len(html.encode()) < 2_000_000


def test_files_and_dicts_give_the_same_page(tmp_path: Path) -> None:
    given = invented.arguments()
    for name in ("evaluation", "audit", "flow", "truth"):
        write_json(tmp_path / f"{name}.json", given[name])
    write_analysis_page(**given, out_html=tmp_path / "a.html", out_json=tmp_path / "a.json")
    read = {name: tmp_path / f"{name}.json" for name in ("evaluation", "audit", "flow", "truth")}
    write_analysis_page(**{**given, **read}, out_html=tmp_path / "b.html", out_json=tmp_path / "b.json")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_answer_is_the_sentences_made_by_rule() -> None:
    evaluation = invented.evaluation()
    assert answer_sentence(evaluation, invented.audit()) == " ".join(evaluation["answer"]["sentences"])


def test_too_few_events_have_no_headline() -> None:
    told = _report(patients=25, events=9)
    answer = _section(told, "answer")
    assert "Too few events: 9 of 10" in answer["sentence"]
    assert not [part for part in answer["parts"] if part["kind"] == "big"]
    assert "proves nothing about the disease" in told["notice"]
    assert told["state"].startswith("too few events: 9 of 10")


def test_a_failed_audit_has_no_headline() -> None:
    told = _report(audit=invented.audit("fail"))
    answer = _section(told, "answer")
    assert answer["sentence"].startswith("No answer: the leakage audit failed (4 of 5")
    assert not [part for part in answer["parts"] if part["kind"] == "big"]
    assert told["state"].startswith("no result: the audit failed")


def test_a_mechanical_test_says_so_by_itself() -> None:
    told = _report(analysis={**invented.ANALYSIS, "test_only": "Sarcoma, not bone."})
    assert told["notice"].startswith("Sarcoma, not bone. This is a mechanical test")
    assert _report()["notice"] == ""


def test_methods_follow_the_settings() -> None:
    def words(recipe: dict[str, Any]) -> str:
        told = methods_texts(invented.ANALYSIS, recipe, invented.evaluation(), invented.flow(), invented.VERSIONS)
        return " ".join(told)

    recipe = invented.recipe_used()
    assert "correlation above 0.9 one feature dropped" in words(recipe)
    assert "20 features kept by minimum redundancy" in words(recipe)
    assert "Forests have 100\u00a0trees" in words(recipe)
    assert "minimum redundancy" not in words({**recipe, "steps": recipe["steps"][:4]})
    assert "pyradiomics-bhklab 3.1.4" in words(recipe)


def test_overrides_come_first_and_are_marked() -> None:
    rows = settings_compared([("a", "1"), ("s.r", "5")], [("a", "1"), ("s.r", "2")], {"s.r": 2})
    assert [(row["name"], row["written"], row["here"], row["state"]["word"]) for row in rows] == [
        ("s.r", "5", "2", "override"),
        ("a", "1", "1", "as written"),
    ]


def test_no_selected_feature_is_said() -> None:
    evaluation = invented.evaluation()
    evaluation["selection"] = {
        **evaluation["selection"],
        "features": [],
        "distinct": 0,
        "mean_features": 0.0,
        "stability": None,
    }
    told = _report(evaluation=evaluation)
    html = render_page(told)
    assert "No feature was selected." in html
    assert check_page(html, told) == []


def test_numbers_that_do_not_exist_are_dashes() -> None:
    evaluation = invented.evaluation(25, 9)
    nothing = {"estimate": None, "low": None, "high": None}
    evaluation["calibration"].update(
        slope=nothing, intercept=nothing, scaled_brier=nothing, ici=nothing, hosmer_lemeshow=None, bins=[], curve=[]
    )
    evaluation["roc"].update(low=None, high=None)
    evaluation["models"][-1]["auc"] = {**nothing, "se": None, "df": None}
    told = _report(evaluation=evaluation)
    assert check_page(render_page(told), told) == []


def test_refused_analysis_and_index(tmp_path: Path) -> None:
    given = invented.arguments()
    folder = tmp_path / "results" / "analyses"
    write_analysis_page(**given, out_html=folder / "good/report.html", out_json=folder / "good/report.json")
    write_refused_page(
        analysis={**invented.ANALYSIS, "name": "refused"},
        why="5 of 12 patients are quarantined.",
        patients={"quarantined": 5, "of": 12},
        out_html=folder / "refused/report.html",
        out_json=folder / "refused/report.json",
    )
    told = read_json(folder / "refused/report.json")
    assert check_page((folder / "refused/report.html").read_text(encoding="utf-8"), told) == []
    reports = [folder / "refused/report.json", folder / "good/report.json"]
    out = tmp_path / "results" / "index.html"
    write_index([], reports, out)
    html = out.read_text(encoding="utf-8")
    assert check_page(html, index_report([], reports, out)) == []
    assert html.index('href="analyses/good/report.html"') < html.index('href="analyses/refused/report.html"')
    assert "None: 0 cohorts." in html
    assert str(tmp_path) not in html
