"""A single-node Apache Kafka: its jars, Java runtime, configuration files and process."""
