"""Reading metrics: the planner that picks the tier, the statements, and the REST routes over them."""
