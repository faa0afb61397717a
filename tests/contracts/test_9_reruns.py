"""Contract 9: a job runs again when its inputs, settings or code changed, and otherwise never."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflow.snake import copied_clone, planned

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A clone whose code the tests may change."""
    return copied_clone(tmp_path_factory.mktemp("clone") / "osteorad")


@pytest.fixture
def changed(clone):
    """Change a text file of the clone for one test."""
    before: dict[Path, str] = {}

    def change(name: str, old: str, new: str) -> None:
        path = clone / name
        before.setdefault(path, path.read_text())
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    yield change
    for path, text in before.items():
        path.write_text(text)


def test_a_second_run_does_nothing(run, clone):
    assert planned(run, clone=clone) == {}


def test_a_comment_does_nothing(run, clone, changed):
    changed("osteorad/modelling/evaluation/evaluate.py", "from __future__", "# a comment\nfrom __future__")
    changed("scripts/fit_models.py", "joblog.start", "# a comment\njoblog.start")
    assert planned(run, clone=clone) == {}


def test_a_changed_module_reruns_what_uses_it_and_what_follows(run, clone, changed):
    changed(
        "osteorad/modelling/evaluation/evaluate.py",
        "from __future__ import annotations",
        "from __future__ import annotations\n\nX = 1",
    )
    assert planned(run, clone=clone) == {"evaluate_analysis": 1, "report_analysis": 1, "write_index": 1}


def test_a_changed_setting_of_a_recipe_reruns_its_analysis_only(run, clone, changed):
    changed("resources/recipes/zhu2024.yaml", "threshold: 0.9", "threshold: 0.8")
    assert planned(run, clone=clone) == {
        "fit_models": 1,
        "freeze_bundle": 1,
        "audit_analysis": 1,
        "evaluate_analysis": 1,
        "report_analysis": 1,
        "write_index": 1,
    }


def test_a_new_roi_pattern_does_not_redo_the_images(run, clone):
    config = run / "config.yaml"
    text = config.read_text()
    try:
        config.write_text(text.replace("['*marrow*']", "['*marrow*', '*mark*']"))
        jobs = planned(run, clone=clone)
    finally:
        config.write_text(text)
    assert "deidentify_images" not in jobs
    assert "convert_images" not in jobs
    assert jobs["deidentify_contours"] == 12
    assert jobs["draw_masks"] == 12


def test_a_deleted_intermediate_is_made_again(run, clone):
    manifest = next((run / "results/cohorts/small/masks/manual").glob("*/masks.json"))
    text = manifest.read_text()
    manifest.unlink()
    try:
        jobs = planned(run, clone=clone)
    finally:
        manifest.write_text(text)
    assert jobs["draw_masks"] == 1
    assert "convert_images" not in jobs
