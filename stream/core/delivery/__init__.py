"""What providers sent of a call and what came: gaps, subscriptions, the delivery audit."""
