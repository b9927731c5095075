"""Answers predictions over HTTP, writes every answer down before it is sent, and follows the release log."""
