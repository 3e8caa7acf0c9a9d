"""Lets the tests of this folder import ``proving``, which is also a script of its own."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
