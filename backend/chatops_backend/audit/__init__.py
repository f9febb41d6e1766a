"""Who did what, when and to what: written before it counts, chained so that a change shows, never changed again."""
