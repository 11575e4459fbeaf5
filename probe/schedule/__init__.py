"""When: an anchored grid of due times for every probe, and an account of each of them."""
