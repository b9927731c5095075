"""Who may call which route: API keys, scopes, and the table of all routes."""
