"""From bytes to batches: where pictures are, how they are read, audited, split and prepared."""
