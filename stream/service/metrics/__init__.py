"""What a worker measures of itself and of the calls: names in `families`, what a batch counts in `tally`."""
