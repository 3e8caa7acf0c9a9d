"""Results to the sections of a page, one kind of result a file."""
