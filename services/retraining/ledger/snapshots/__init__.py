"""What the ledger keeps of snapshots beside the run."""
