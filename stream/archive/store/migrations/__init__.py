"""One file a migration, in `versions`. Those of a released version are never changed."""
