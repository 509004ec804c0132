"""What a run did, told from its record: as data, for CI, and as a page for people."""
