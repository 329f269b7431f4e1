"""The command line's sub-commands: thin shells over files and over the hub's HTTP interface.

Each group is a module of its own and is imported by name, so that a short command need not wait for the others.
"""
