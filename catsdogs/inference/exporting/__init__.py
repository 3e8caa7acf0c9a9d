"""A model as a file that others run without catsdogs."""
