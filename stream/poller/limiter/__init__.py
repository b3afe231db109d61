"""How often an account may be asked: rate, concurrency, backoff and circuit breaker."""
