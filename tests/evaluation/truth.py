"""What simulations ask of intervals."""

from catsdogs.core.estimate import Estimate


def covers(estimate: Estimate, truth: float) -> bool:
    """Say whether the interval holds the truth."""
    return estimate.low <= truth <= estimate.high
