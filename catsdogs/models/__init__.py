"""From tensors to logits: plain modules, no Lightning."""
