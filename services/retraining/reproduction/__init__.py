"""Making the training rows of a version again, and training it again."""
