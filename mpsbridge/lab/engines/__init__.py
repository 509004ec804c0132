"""How a make-believe host executes a script."""
