"""What a real host has answered, in a file that can be given away: with other names, and played again by the lab."""
