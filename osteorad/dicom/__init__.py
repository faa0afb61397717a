"""From an export to volumes and masks: index, de-identification, series choice, SUV, contours."""
