"""The processes of a host as they are now, and signals to them."""
