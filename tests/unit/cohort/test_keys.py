"""Which rules a change of a setting runs again (contract 9)."""

from __future__ import annotations

import yaml

from osteorad.cohort.config import Config
from osteorad.cohort.keys import key_texts
from tests.conftest import ROOT


def test_what_becomes_of_heads_is_a_matter_of_the_rules_that_read_the_source():
    settings = yaml.safe_load((ROOT / "tests/configs/small/config.yaml").read_text(encoding="utf-8"))
    settings["analyses"] = {}
    texts = []
    for word in ("keep", "blank"):
        settings["cohorts"]["small"]["head"] = word
        texts.append(key_texts(ROOT, Config.model_validate(settings), {}, {}))
    before, after = texts
    changed = {path.rsplit("/", 1)[1].split(".")[0] for path in before if before[path] != after[path]}
    pages = {"report_cohort", "report_privacy"}
    assert changed == {"deidentify_images", "deidentify_contours", "adopt_images", "adopt_contours", *pages}
