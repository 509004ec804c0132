"""What leaves the program as JSON, as models of their own: the contract with other programs.

Rules: a key is in the contract because a model of this package has it, whatever else the value of the domain knows;
what is not declared here never leaves; every document is described by ``mpsbridge schema NAME``; no I/O.
"""
