"""A pipeline's compiled specification (IR) as a client reads it."""
