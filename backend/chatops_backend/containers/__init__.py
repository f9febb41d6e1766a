"""The containers of watched hosts: looked at by questions to their agents, started and ended by signed orders."""
