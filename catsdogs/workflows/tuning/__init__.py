"""Tuning: ordinary runs that share one look at the pictures, as folds, seeds, pairs or trials."""
