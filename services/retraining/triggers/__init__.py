"""What may start a retraining: verdicts, webhooks, requests."""
