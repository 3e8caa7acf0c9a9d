"""One self-contained HTML page: sections of plain blocks, and what turns them into HTML."""
