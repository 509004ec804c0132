"""The PowerShell templates, one .ps1.j2 for each snippet. Read from beside the mpsbridge package, never by import."""
