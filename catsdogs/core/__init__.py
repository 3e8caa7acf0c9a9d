"""What every layer may share: plain values and errors, built on numpy alone."""
