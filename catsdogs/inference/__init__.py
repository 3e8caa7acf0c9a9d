"""Applying a model file to pictures."""
