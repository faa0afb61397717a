"""The leakage audit: checks of what a run left behind."""
