"""`homeostat replay`: history from a Parquet file, sent to inference in event-time order."""
