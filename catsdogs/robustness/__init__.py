"""Changed pictures: corrupted, moved, attacked. It makes them; ``evaluation`` judges what a model says."""
