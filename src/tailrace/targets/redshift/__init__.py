"""Amazon Redshift: how statements and rows reach it, and how its rows come back."""
