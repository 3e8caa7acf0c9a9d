"""How much to keep of what the backbone knows."""
