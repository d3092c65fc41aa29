"""`gridcord demo`: the shipped programs as processes, simulated houses, a faster clock."""
