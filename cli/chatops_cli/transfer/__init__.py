"""`chatops import` and `chatops export`: files into a running backend, and out of it."""
