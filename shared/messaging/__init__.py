"""How records travel: spool segments on disk, Arrow batches with CloudEvents headers on Kafka."""
