"""Pictures as data: where each line and word of a ladder or a chart stands. Pure; templates draw them."""
