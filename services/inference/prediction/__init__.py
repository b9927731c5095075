"""From checked rows to scores that are on the spool."""
