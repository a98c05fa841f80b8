"""The load generator: items of three profiles, and a writer with a rate. Equal seeds write equal items."""
