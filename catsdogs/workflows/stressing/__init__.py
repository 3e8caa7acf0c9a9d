"""Stress: what corruptions, shifts and attacks do to a model, one measurement each, and sheets to look at."""
