"""Who is meant, whether, and which option lifts a refusal. Pure: from observations and wishes to verdicts."""
