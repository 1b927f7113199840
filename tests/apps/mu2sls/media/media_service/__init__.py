"""Reviews of films, in fourteen services."""
