"""The report: one HTML file that needs nothing else. plotly and jinja2 are imported here and nowhere else."""
