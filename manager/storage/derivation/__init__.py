"""From the log and the utility's facts to verdicts and blocks, each batch in one transaction."""
