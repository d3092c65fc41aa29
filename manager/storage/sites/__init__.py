"""What is known of sites: readings, where cables were, proofs, blocks."""
