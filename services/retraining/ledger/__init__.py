"""The ledger: all causes, decisions, runs, gate results, releases, approvals and budget entries, including decisions to wait."""
