"""Between the manager and the utilities: sites and readings in, transfers out."""
