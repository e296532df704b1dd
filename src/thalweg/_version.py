"""The version, alone in a file that nothing else needs to be imported for."""

__version__ = "0.1.0"
