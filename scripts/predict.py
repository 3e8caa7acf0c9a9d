"""Classify a folder, zip, file or list of pictures: the same as ``catsdogs predict``."""

import sys

from catsdogs.cli.main import script

if __name__ == "__main__":
    sys.exit(script("predict"))
