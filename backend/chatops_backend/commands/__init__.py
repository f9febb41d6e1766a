"""Orders to agents: commands and other acts, signed, stored, handed out once, and what came of them."""
