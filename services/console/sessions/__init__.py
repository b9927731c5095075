"""Logins to the console, in memory: sessions, one-time codes, and the limit of failed logins. They end with the process."""
