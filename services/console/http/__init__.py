"""HTTP routes of the console, and the checks each request passes."""
