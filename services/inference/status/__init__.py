"""What the server reports about itself: JSON and a page."""
