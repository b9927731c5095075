"""Runs that wait for approval longer than they may."""
