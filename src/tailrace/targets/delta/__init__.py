"""Delta tables as a target: one commit per load, the ledger in the same commit. The only part that knows deltalake."""

from tailrace.targets.delta.target import DeltaTarget

__all__ = ["DeltaTarget"]
