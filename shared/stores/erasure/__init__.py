"""Removes the rows of one subject, such as a customer, from what an installation stores."""
