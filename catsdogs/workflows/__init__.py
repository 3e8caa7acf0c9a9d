"""One job a file, told top to bottom."""
