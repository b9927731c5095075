"""The release log: promotion, rollback, and the comparison with the first version."""
