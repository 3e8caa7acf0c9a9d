"""Parts of a page: each module turns one result into a ``Section``."""
