"""Redshift as a target: its dialect, its clients, and how rows travel through S3."""
