"""What the prediction log costs its readers as it grows older: a log of a year, made in minutes, and the operations on it."""
