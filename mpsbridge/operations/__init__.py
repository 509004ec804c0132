"""The application, without a terminal: what a person or a program can ask for, planned and carried out.

An operation is a frozen value. :class:`~mpsbridge.operations.workplace.Workplace` plans it (looks, and gives every
session a verdict) and carries that plan out, as a run in the record. Rule: nothing in here prints, asks, reads the
environment or keeps a global; what is to be said goes to sinks that are passed in.
"""
