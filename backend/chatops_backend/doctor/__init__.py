"""`chatops doctor`: looks at what ChatOps needs on this machine and says what to do about what is wrong."""
