"""What carries scripts to hosts. Knows nothing of what a snippet means."""
