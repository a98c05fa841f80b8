"""Shipped test tools: contract suites for stores and targets, fault injection, Hypothesis strategies."""
