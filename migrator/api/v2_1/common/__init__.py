"""What all resources of the Compute API share: the route engine, pages, JSON schemas."""
