"""One file per measurement. A collector reads this machine and returns rows in the catalogue's column order."""
