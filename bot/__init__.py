"""Mockingbird: learns the voice of an account and speaks it. The rooms are described in docs/architecture.md."""

__version__ = "0.1.0"
