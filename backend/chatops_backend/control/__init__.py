"""What is wanted of connected agents beside their readings: who is connected here, and questions with answers."""
