"""All numbers of an analysis, from its predictions."""
