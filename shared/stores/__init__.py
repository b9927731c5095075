"""Where things are kept: versions and the release log, the lake, keys. Each store has one writer."""
