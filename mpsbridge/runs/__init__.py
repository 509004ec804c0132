"""Runs and their record: what can happen, how it is written down, and whether it went well. Knows no host."""
