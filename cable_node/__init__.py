"""The daemon on the cable: measures, matches, signs, journals, reports, obeys."""
