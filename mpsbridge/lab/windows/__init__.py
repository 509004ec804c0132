"""Make-believe computers with Windows; the rules are in :mod:`.world`."""
