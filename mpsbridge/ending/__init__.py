"""From sessions to verdicts to acts."""
