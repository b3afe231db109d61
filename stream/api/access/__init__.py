"""Who may read what: tokens, authentication, the limit on requests, the audit log."""
