"""Frozen values, one file per word of the glossary. No I/O, no clock, no randomness."""
