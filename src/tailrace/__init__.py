"""Tailrace replicates Amazon DynamoDB tables into data lakes and warehouses, exactly."""

__version__ = "0.1.0"
