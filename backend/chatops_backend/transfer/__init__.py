"""History in and out: the import of rows of any age, values that people push, and the export."""
