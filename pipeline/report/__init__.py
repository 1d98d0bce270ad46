"""results/report.html and its pages: what a run found, in files that need no network ([docs/report.md])."""
