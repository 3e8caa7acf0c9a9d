"""Judge a model on labelled pictures: the same as ``catsdogs evaluate``."""

import sys

from catsdogs.cli.main import script

if __name__ == "__main__":
    sys.exit(script("evaluate"))
