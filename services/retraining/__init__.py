"""Retraining: hears verdicts and triggers, decides, trains, proves, releases. The only writer of release logs and the ledger."""
