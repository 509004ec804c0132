"""What stands between clients and make-believe hosts: HTTP, WSMan, PSRP, signing in, certificates, faults."""
