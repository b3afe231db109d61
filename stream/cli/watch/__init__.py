"""`callstream watch`: what is wrong now, live, with keys."""
