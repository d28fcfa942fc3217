"""Scores, reports, plots and the study."""
