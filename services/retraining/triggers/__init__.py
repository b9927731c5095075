"""Sources of causes: verdicts from Kafka, webhooks and requests."""
