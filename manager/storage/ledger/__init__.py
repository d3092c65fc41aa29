"""Money as rows: what settlement goes by, what follows from it, and bundles of evidence."""
