"""Results to figures and tables."""
