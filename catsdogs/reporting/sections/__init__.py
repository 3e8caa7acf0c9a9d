"""Sections of the page: each module turns one result into a ``Section``."""
