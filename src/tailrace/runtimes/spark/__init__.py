"""Loads that outgrow one machine: the same segments, decoder, columns and arithmetic, spread over Spark's executors.

`tasks` is what an executor does, and knows no Spark; `frames` how its work is laid out; `session` is where pyspark comes from.
"""
