"""Fine-tune a backbone on labelled pictures: the same as ``catsdogs train``."""

import sys

from catsdogs.cli.main import script

if __name__ == "__main__":
    sys.exit(script("train"))
