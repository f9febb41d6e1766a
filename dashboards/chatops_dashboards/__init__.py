"""The Dash app people look at: fleet, servers, history, accounts. It uses `chatops_client` alone."""
