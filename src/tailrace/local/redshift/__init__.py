"""A stand-in for Redshift: its SQL, checked and carried out by a PostgreSQL that is started here, and its Data API in front.

`docs/local.md` says what it holds to and what it cannot show.
"""
