"""Sequential statistics on tiles, in nats: CUSUMs of drift, and likelihood ratios of data faults."""
