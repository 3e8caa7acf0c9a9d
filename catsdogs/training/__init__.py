"""The one training loop: the only layer that is a LightningModule."""
