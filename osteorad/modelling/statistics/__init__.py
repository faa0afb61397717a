"""Formulas of statistics: arrays in, numbers out; each against a reference value."""
