"""Log lines of hosts: what is taken from agents, how they are searched, and who may read them."""
