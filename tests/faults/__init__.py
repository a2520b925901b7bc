"""Runs that die, and folders that refuse."""
