"""The page of a segmentation analysis: the answer by rule, every number from report.json, and nobody drawn in-fold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osteorad.files import read_json, write_json
from osteorad.reporting import glossary
from osteorad.reporting.check import check_page
from osteorad.reporting.segmentation_page import count_weights, write_segmentation_page
from tests.unit.reporting.invented_segmentation import write_analysis


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two networks on 11 held-out and 10 other patients with lesions, and two without."""
    folder = tmp_path_factory.mktemp("analysis")
    return write_analysis(folder, held_out=10, others=10, healthy=2, networks=("unet", "gated"))


def _written(folder: Path, given: dict[str, Any], **more: Any) -> tuple[str, dict[str, Any]]:
    page, numbers = folder / "report.html", folder / "report.json"
    write_segmentation_page(**{**given, **more}, out_html=page, out_json=numbers)
    return page.read_text(encoding="utf-8"), read_json(numbers)


def _section(told: dict[str, Any], name: str) -> dict[str, Any]:
    return next(section for section in told["sections"] if section["id"] == name)


def _parts(told: Any, kind: str) -> list[dict[str, Any]]:
    found = []
    for part in told["parts"]:
        found += [part] if part["kind"] == kind else []
        found += _parts(part, kind) if "parts" in part else []
    return found


def test_page_is_sound_small_and_the_same_again(analysis: dict[str, Any], tmp_path: Path) -> None:
    html, told = _written(tmp_path / "a", analysis)
    assert check_page(html, told) == []
    assert len(html.encode()) < 3_000_000
    assert (html, told) == _written(tmp_path / "b", analysis)
    assert told["kind"] == "segmentation"
    assert str(tmp_path) not in html


def test_the_answer_is_that_of_held_out_patients_and_names_its_rule(analysis: dict[str, Any], tmp_path: Path) -> None:
    _, told = _written(tmp_path, analysis)
    scores = read_json(analysis["scores"][0])["scores"]
    (held,) = [g for g in scores if (g["procedure"], g["role"], g["roi"]) == ("network", "external", "lesion")]
    answer = _section(told, "answer")
    assert f"mean Dice of {held['dice']['estimate']:.2f} (95\u00a0% interval" in answer["sentence"]
    assert "in 10 held-out patients with a lesion, whom no network had seen" in answer["sentence"]
    assert f"It finds {held['lesions']['found']} of 20\u00a0lesions" in answer["sentence"]
    assert "a HU rule inside the bone that it draws finds" in answer["sentence"]
    assert "unet has the best mean Dice of 2\u00a0networks out of fold" in answer["sentence"]
    (rule,) = [part for part in answer["parts"] if part.get("title") == "What counts as found."]
    assert "at least 10\u00a0% of the lesion's volume is covered" in rule["text"]
    assert told["state"].startswith(f"Dice {held['dice']['estimate']:.2f} in 10\u00a0patients held")


def test_the_rule_stands_beside_every_number_of_lesions(analysis: dict[str, Any], tmp_path: Path) -> None:
    _, told = _written(tmp_path, analysis)
    lesions = _section(told, "lesions")
    captions = [part["caption"] for kind in ("table", "figure") for part in _parts(lesions, kind)]
    assert len(captions) == 9
    assert all("is found where at least 10\u00a0%" in caption for caption in captions)


def test_numbers_of_the_tables_are_those_of_the_scores(analysis: dict[str, Any], tmp_path: Path) -> None:
    _, told = _written(tmp_path, analysis)
    groups = {
        (score["network"] if g["procedure"] == "network" else "HU rule", g["role"]): g
        for score in reversed([read_json(path) for path in analysis["scores"]])  # the baseline is that of the best
        for g in score["scores"]
        if g["roi"] == "lesion"
    }
    for role, name in (("external", "overlap-lesion-external"), ("out_of_fold", "overlap-lesion-out-of-fold")):
        (table,) = [part for part in _parts(_section(told, "overlap"), "table") if part["id"] == name]
        assert [row["network"] for row in table["rows"]] == ["unet", "gated", "HU rule"]
        for row in table["rows"]:
            want = groups[row["network"], role]
            assert row["dice"] == pytest.approx([want["dice"][key] for key in ("estimate", "low", "high")], abs=1e-5)
            assert (row["n"], row["n_negative"], row["n_undefined"]) == (
                want["n"],
                want["n_negative"],
                want["n_undefined"],
            )
        found = next(
            p for p in _parts(_section(told, "lesions"), "table") if p["id"] == f"found-{role.replace('_', '-')}"
        )
        for row in found["rows"]:
            lesions = groups[row["network"], role]["lesions"]
            assert row["lesions"] == [lesions["found"], lesions["n"]]
            assert row["wilson"] == pytest.approx([lesions["wilson"]["low"], lesions["wilson"]["high"]], abs=1e-5)


def test_free_response_curves_pass_through_the_scored_points(analysis: dict[str, Any], tmp_path: Path) -> None:
    _, told = _written(tmp_path, analysis)
    figures = [part for part in _parts(_section(told, "lesions"), "figure") if part["id"] == "froc-external"]
    curves = {curve["label"]: curve["points"] for curve in figures[0]["data"]["curves"]}
    for path in analysis["scores"]:
        score = read_json(path)
        wanted = ("network", "external", "lesion")
        (own,) = [g for g in score["scores"] if (g["procedure"], g["role"], g["roi"]) == wanted]
        points = curves[score["network"]]
        assert points[0] == [0, 0]
        for point in own["froc"]["points"]:
            rate = point["false_positives_per_case"]
            if rate <= points[-1][0]:
                highest = max(y for x, y in points if x <= rate + 1e-9)
                assert highest == pytest.approx(point["sensitivity"]["estimate"], abs=1e-5)


def test_too_few_patients_have_no_headline(tmp_path: Path) -> None:
    given = write_analysis(tmp_path, held_out=3, others=4, healthy=1, networks=("unet",))
    html, told = _written(tmp_path, given)
    assert check_page(html, told) == []
    answer = _section(told, "answer")
    assert answer["sentence"].startswith("Too few patients with a lesion: 3 held out and 4 out of fold, wanted 10")
    assert not _parts(answer, "big")
    assert told["state"].startswith("too few patients with a lesion")
    assert told["chips"][1]["tone"] == "warn"
    assert "proves nothing about how well" in told["notice"]


def test_without_bone_no_baseline_is_told(tmp_path: Path) -> None:
    given = write_analysis(tmp_path, held_out=3, others=10, healthy=0, networks=("unet",), bone=False)
    html, told = _written(tmp_path, given)
    assert check_page(html, told) == []
    answer = _section(told, "answer")["sentence"]
    assert "no HU rule stands beside it, since no bone is drawn" in answer
    assert "in 10 patients out of fold with a lesion" in answer
    assert "Of the 3 patients with a lesion held out no number is a headline." in answer
    assert "HU rule" not in str([part["rows"] for part in _parts(_section(told, "lesions"), "table")])


def test_a_network_that_saw_whom_it_drew_turns_the_page_red(analysis: dict[str, Any], tmp_path: Path) -> None:
    path = analysis["networks"][0]
    record = read_json(path)
    first = read_json(analysis["drawn"][0])["patients"][0]["patient"]
    try:
        write_json(path, {**record, "patients_trained": [*record["patients_trained"], first]})
        html, told = _written(tmp_path, analysis)
    finally:
        write_json(path, record)
    assert check_page(html, told) == []
    assert told["chips"][0] == {"text": "1 of 44 drawings by a network that saw the patient", "tone": "bad"}
    assert "1 of 44 drawings were made by a network that had seen the patient" in _section(told, "patients")["sentence"]


def test_what_was_left_out_and_lost_by_the_gate_is_told(analysis: dict[str, Any], tmp_path: Path) -> None:
    _, told = _written(tmp_path, analysis)
    (table,) = [part for part in _parts(_section(told, "patients"), "table") if part["id"] == "left-out-table"]
    assert [(row["network"], row["when"], row["reason"]) for row in table["rows"]] == [
        ("gated", "trained\u00a0i1", "roi_absent"),
        ("unet", "trained\u00a0i1", "roi_absent"),
    ]
    lost = sum(
        session["lost_by_gate"]
        for entry in read_json(analysis["drawn"][1])["patients"]
        for session in read_json(analysis["drawn"][1].parent / entry["path"])["sessions"]
    )
    (gate,) = [part for part in _section(told, "patients")["parts"] if part.get("title") == "Gate."]
    assert f"gated looks inside the bone of unet: {lost}\u00a0components in 22\u00a0cases" in gate["text"]


def test_weights_are_counted_without_what_normalisation_counts(analysis: dict[str, Any]) -> None:
    assert count_weights(analysis["networks"][0].parent / "weights.safetensors") == 8 * 9 + 3


def test_times_are_told_where_they_are_and_not_what_they_are(analysis: dict[str, Any], tmp_path: Path) -> None:
    html, _ = _written(tmp_path, analysis)
    assert "benchmarks/train_network/lesions" in html
    assert "learned on a CPU, since no GPU was there" in html


def test_overrides_are_marked(analysis: dict[str, Any], tmp_path: Path) -> None:
    _, told = _written(tmp_path, analysis)
    (table,) = _parts(_section(told, "settings"), "table")
    first = table["rows"][0]
    assert (first["name"], first["written"], first["here"], first["state"]["word"]) == (
        "segmentation.training.epochs",
        "60",
        "12",
        "override",
    )


ASKED = (
    "Dice",
    "HD95",
    "surface Dice",
    "lesion sensitivity",
    "false positive",
    "free-response curve",
    "held-out",
    "HU rule",
)


def test_words_that_a_reader_will_ask_for_are_explained_on_the_page(analysis: dict[str, Any], tmp_path: Path) -> None:
    assert set(ASKED) <= {term.term for term in glossary.terms()}
    _, told = _written(tmp_path, analysis)
    (words,) = [part for part in _section(told, "glossary")["parts"] if part["kind"] == "glossary"]
    assert set(ASKED) <= {item["term"] for item in words["items"]}
