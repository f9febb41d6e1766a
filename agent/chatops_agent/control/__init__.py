"""What this host does for others: carries out signed orders, if its own settings allow that, and answers questions."""
