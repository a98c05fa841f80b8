"""What the emulator's Lambda lacks: stream mappings that fail as AWS's do, asynchronous retries, dead letters, destinations."""
