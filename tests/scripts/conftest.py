"""The benchmarks are scripts, not a package: Python finds them where ``scripts/benchmark.py`` lies."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
