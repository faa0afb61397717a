"""Cohorts and analyses: settings, tables, schemas, samples, splits. No heavy import here: Snakemake loads it."""
