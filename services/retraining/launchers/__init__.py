"""Launchers: where training commands run. The only one runs them as processes on this machine."""
