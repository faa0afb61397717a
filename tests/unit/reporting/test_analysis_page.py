"""The analysis page: the answer by rule, and every number from report.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osteorad.files import read_json, write_json
from osteorad.reporting.analysis_page import analysis_report, write_analysis_page, write_refused_page
from osteorad.reporting.check import check_page, parse
from osteorad.reporting.index_page import index_report, write_index
from osteorad.reporting.render import render_page
from osteorad.reporting.report import parts_of
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


def _without(*keys: str) -> dict[str, Any]:
    evaluation = invented.evaluation()
    for key in keys:
        evaluation[key] = {"permuted": None, "shuffled": None} if key == "controls" else None
    return evaluation


@pytest.mark.parametrize(
    ("key", "section", "said"),
    [
        ("controls", "controls", "Not done: 0 permutations were asked for."),
        ("sample_size", "data", "Not done: 0 models to plan for."),
        ("optimism", "clinical", "Optimism of a clinical model: not done"),
        ("decision", "performance", "Not done: 0 threshold probabilities were declared."),
    ],
)
def test_what_was_not_done_is_said(key: str, section: str, said: str) -> None:
    told = _report(evaluation=_without(key))
    assert said in str(_section(told, section))
    assert check_page(render_page(told), told) == []


def test_what_was_not_asked_for_has_no_section() -> None:
    evaluation = _without("published")
    evaluation["subgroups"] = {**evaluation["subgroups"], "rows": []}
    names = [section["id"] for section in _report(evaluation=evaluation)["sections"]]
    assert "as-published" not in names
    assert "subgroups" not in names


def test_as_published_stands_below_everything_under_its_mark() -> None:
    told = _report(audit={**invented.audit(), "as_published": invented.audit("fail")})
    names = [section["id"] for section in told["sections"]]
    assert names[-2:] == ["as-published", "glossary"]
    body = _section(told, "as-published")["parts"]
    assert [part["kind"] for part in body] == ["marked"]
    html = render_page(told)
    assert html.count("as published: not a result") == 1
    assert "1 of 5\u00a0checks flag it, as they should: A2." in html
    assert not [part for part in parts_of(_section(told, "answer")) if "published" in str(part).lower()]


def test_forest_holds_result_baselines_controls_truth_and_candidates() -> None:
    (figure,) = [part for part in parts_of(_section(_report(), "answer")) if part["kind"] == "figure"]
    assert [row["group"] for row in figure["data"]["rows"] if row["group"]] == [
        "Baselines",
        "Negative controls",
        "Truth of the phantom",
        "Candidates",
    ]
    tones = {row["label"]: row["tone"] for row in figure["data"]["rows"]}
    assert tones["This analysis, nested"] == "main"
    assert tones["Permuted outcomes"] == tones["Shuffled voxels"] == "control"
    assert tones["Logistic regression"] == "candidate"


def test_table_one_has_no_p_values_and_both_levels_of_a_yes_once() -> None:
    evaluation = invented.evaluation()
    rows = evaluation["table_one"]["rows"]
    group = {"k": 3, "n": 40}
    rows += [
        {
            "variable": "er",
            "level": level,
            "kind": "level",
            "missing": 0,
            "all": group,
            "events": group,
            "others": group,
        }
        for level in ("0", "1")
    ]
    table = next(
        part for part in _section(_report(evaluation=evaluation), "patients")["parts"] if part["id"] == "table-one"
    )
    assert [row["variable"] for row in table["rows"]] == ["age years", "subtype: luminal", "site: A", "er: 1"]
    assert not [column for column in table["columns"] if column["kind"] == "p"]


def test_waterfall_is_sorted_and_tells_outcomes_apart_without_colour() -> None:
    html = render_page(_report())
    drawing = next(node for node in parse(html).find("figure") if node.attributes["id"] == "fig-waterfall")
    bars = [node for node in drawing.find("rect") if "mark" in node.attributes["class"].split()]
    assert len(bars) == 40
    assert sum("rim" not in bar.attributes["class"].split() for bar in bars) == 18
    rows = next(part for part in _figures(_report()) if part["id"] == "waterfall")["data"]["rows"]
    assert [row[0] for row in rows] == sorted((row[0] for row in rows), reverse=True)


def test_useful_thresholds_are_those_above_treating_all_and_none() -> None:
    evaluation = invented.evaluation()
    told = evaluation["decision"]
    told["thresholds"], told["all"] = [0.1, 0.2, 0.3, 0.4], [0.3, 0.2, 0.1, -0.1]
    told["curves"] = [
        {"name": "radiomics", "label": "This", "net_benefit": [0.3, 0.25, 0.2, -0.01], "low": [], "high": []}
    ]
    figure = next(part for part in _figures(_report(evaluation=evaluation)) if part["id"] == "decision")
    assert "at 2 of 4 thresholds, from 20\u00a0% to 30\u00a0%" in figure["caption"]


def test_lesions_have_their_patients_beside_them() -> None:
    evaluation = {**invented.evaluation(), "unit": "lesion"}
    evaluation["patient_level"] = {
        "aggregate": "max",
        "patients": 40,
        "events": 18,
        "auc": {"estimate": 0.77, "low": 0.6, "high": 0.9},
        "lesion_auc": 0.74,
        "measures": [invented.evaluation()["confusion"]["measures"][0]],
        "label": "a patient has the highest value of his lesions",
    }
    told = _report(evaluation=evaluation)
    table = next(part for part in parts_of(_section(told, "performance")) if part.get("id") == "patient-level")
    assert table["rows"][0]["mean"] == [0.77, 0.6, 0.9]
    assert check_page(render_page(told), told) == []


def test_coverage_stands_beside_each_interval() -> None:
    table = next(part for part in parts_of(_section(_report(), "performance")) if part.get("id") == "intervals-table")
    assert [row["coverage"][:29] for row in table["rows"]] == [
        "95 % interval; covers 86 to 9",
        "95 % interval; covers 78 to 8",
    ]


def _figures(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [part for section in told["sections"] for part in parts_of(section) if part["kind"] == "figure"]


@pytest.mark.parametrize(
    ("kind", "chip", "said"),
    [
        ("hold-out", "2 nested hold-outs, by patient", "a training part and a test part of 30\u00a0%"),
        ("site", "5 nested folds, one a site", "5 outer folds, one a site"),
        ("column", "5 nested folds, as a column says", "5 outer folds by a column of the table"),
    ],
)
def test_other_ways_to_divide_are_named(kind: str, chip: str, said: str) -> None:
    recipe = invented.recipe_used()
    recipe["splits"] = {**recipe["splits"], "kind": kind}
    told = _report(recipe=recipe, evaluation={**invented.evaluation(), "split": kind})
    assert chip in [entry["text"] for entry in told["chips"]]
    assert said in " ".join(_section(told, "methods")["parts"][0]["texts"])
    assert check_page(render_page(told), told) == []


def _automatic() -> dict[str, Any]:
    """An evaluation of masks that networks drew inside the folds, and its lineage."""
    icc = {
        "folds": [{"repeat": 1, "fold": fold, "compared": 1197, "kept": kept} for fold, kept in ((1, 801), (2, 911))],
        "compared": {"median": 1197.0, "low": 1197, "high": 1197},
        "kept": {"median": 856.0, "low": 801, "high": 911},
    }
    told = {"network": "unet-2", "reference": "manual", "folds": 2, "regions": 80, "undrawn": 3, "icc": icc}
    nodes = [{"id": f"network/r1f{fold}i{inner}/unet-2", "kind": "network"} for fold in (1, 2) for inner in (1, 2, 3)]
    recipe = {
        **invented.recipe_used(),
        "mask_set": "auto-unet-2",
        "second_set": "manual",
        "segmentation": {"image": "ct"},
    }
    recipe["steps"] = [{"step": "icc", "settings": {"form": "A,1", "least": 0.75, "bound": "lower"}}, *recipe["steps"]]
    return {
        "evaluation": {**invented.evaluation(), "automatic": told},
        "lineage": {"nodes": nodes, "edges": []},
        "recipe": recipe,
    }


def test_masks_of_networks_are_told_with_their_number_and_their_agreement() -> None:
    told = _report(**_automatic())
    words = " ".join(_section(told, "methods")["parts"][0]["texts"]).replace("\u00a0", " ")
    for said in (
        "drawn by the network unet-2, trained anew inside each of 2 outer training parts on masks of the set manual",
        "(6 networks in all)",
        "Of 80 regions over all folds 3 had no automatic feature",
        "ICC against masks of the set manual, in training patients: a median of 856 of 1,197 features kept",
        "(801 to 911 by fold)",
    ):
        assert said in words
    assert "between automatic and drawn contours is above 0.75" in words
    assert check_page(render_page(told), told) == []


def test_without_the_step_icc_no_agreement_is_claimed() -> None:
    asked = _automatic()
    asked["evaluation"]["automatic"]["icc"] = None
    words = " ".join(_section(_report(**asked), "methods")["parts"][0]["texts"])
    assert "ICC against" not in words


def test_masks_that_people_drew_have_no_word_of_networks() -> None:
    words = " ".join(_section(_report(), "methods")["parts"][0]["texts"])
    assert "network" not in words
