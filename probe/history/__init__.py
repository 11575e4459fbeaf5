"""Recent results and objective status of each probe, kept in memory."""
