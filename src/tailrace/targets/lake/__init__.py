"""What tables of files share: their columns, what is remembered of them, what a load does to the rows that stand.

Knows Arrow and DuckDB, which does the arithmetic; no file, no catalog.
"""
