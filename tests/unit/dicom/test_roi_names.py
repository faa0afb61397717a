"""Names of contours to ROIs."""

from __future__ import annotations

from osteorad.dicom.roi_names import assign, labels

PATTERNS = {
    "lesion": ["gtv*", "met_*", "*läsion*"],
    "marrow": ["marrow", "MARROW T?"],
    "liver": ["*liver*", "gtv_liver"],
}


def test_numbers_count_within_a_roi_in_the_order_given():
    assert assign(["GTV_1", "Marrow", "gtv 2", "unknown", " met_3 "], PATTERNS) == [
        ("lesion", 1),
        ("marrow", 1),
        ("lesion", 2),
        None,
        ("lesion", 3),
    ]


def test_case_and_outer_blanks_do_not_count():
    assert assign(["  MARROW t6  ", "marrow T66"], PATTERNS) == [("marrow", 1), None]


def test_the_first_roi_with_a_matching_pattern_wins():
    assert assign(["GTV_liver", "left liver lobe"], PATTERNS) == [("lesion", 1), ("liver", 1)]
    assert assign(["GTV_liver"], dict(reversed(PATTERNS.items()))) == [("liver", 1)]


def test_accents_match_composed_and_decomposed():
    assert assign(["Läsion 1", "La\u0308sion 2"], PATTERNS) == [("lesion", 1), ("lesion", 2)]


def test_brackets_in_names_are_plain_characters():
    assert assign(["gtv[1]"], PATTERNS) == [("lesion", 1)]
    assert assign(["gtv[1]"], {"x": ["gtv[[]1]"]}) == [("x", 1)]


def test_nothing_to_assign():
    assert assign([], PATTERNS) == []
    assert assign(["gtv"], {}) == [None]


def test_labels_of_unmatched_names_count_apart():
    assert labels(["a", "gtv", "b", "gtv"], PATTERNS) == ["roi-1", "lesion-1", "roi-2", "lesion-2"]
