"""From the agents' sockets to committed rows: gateway → queue → writer. Evaluates nothing, waits for no reader."""
