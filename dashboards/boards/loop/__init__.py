"""The board of the loop: an overview that borrows the most important panels of the services."""
