"""Report pages: plain data in, escaped HTML out; every page is drawn from the dict that is its report.json."""
