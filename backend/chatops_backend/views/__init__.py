"""What people keep of the dashboard for themselves."""
