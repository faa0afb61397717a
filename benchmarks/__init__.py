"""Measurements behind the figures of the documentation: `python -m benchmarks` or `make bench`; docs/benchmarks.md."""
