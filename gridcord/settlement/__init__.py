"""Who earns and owes what for a half hour: tariffs, earnings, site bills, ledger postings. Pure."""
