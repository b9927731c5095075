"""Reports of verdicts, kept in a folder or an object store."""
