"""The ledger: every cause, decision, run, gate, release, approval and budget entry, also of what was not done and why."""
