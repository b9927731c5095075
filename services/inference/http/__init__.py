"""HTTP routes of the server: request bodies, predict, outcomes, operations."""
