"""Ensembles: which models take part, which pictures may decide and judge, how they vote or are averaged."""
