"""Make-believe hosts behind a real WSMan and PSRP server on the loopback. Imports only errors, clock and psrp_pipes."""
