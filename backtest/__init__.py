"""Back-tests: a history of rows with outcomes, replayed in event time through the code of the running loop, once per policy."""
