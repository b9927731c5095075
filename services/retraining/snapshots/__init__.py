"""What determines the rows of a snapshot, and making it again."""
