"""A challenger that is good offline and bad live, shown being taken back."""
