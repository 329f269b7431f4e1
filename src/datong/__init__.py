"""Datong (打通): the platform on which departments share what they already know."""

__version__ = "0.1.0"
