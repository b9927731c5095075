"""The console: one page for the whole loop, and the buttons a person may press. It stores nothing; it asks the services."""
