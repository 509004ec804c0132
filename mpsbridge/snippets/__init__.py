"""What is sent to a host and what comes back. Pure but for reading templates from the installed package."""
