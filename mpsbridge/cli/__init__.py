"""The command line. Only terminal.py prints."""
