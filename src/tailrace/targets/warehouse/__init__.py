"""What all SQL servers share as targets: a load is a list of statements, computed beforehand and carried out at once."""
