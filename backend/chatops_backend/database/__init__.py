"""The database, embedded or on a server. Nothing outside this package knows which of the two it talks to."""
