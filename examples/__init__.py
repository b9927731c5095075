"""Model projects as a user would write them."""
