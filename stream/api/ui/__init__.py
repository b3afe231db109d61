"""The page at `/ui`: what calls do now, and what happened to one call, for a person with a browser."""
