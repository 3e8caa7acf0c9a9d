"""Judging Predictions; never runs a model and imports no torch."""
