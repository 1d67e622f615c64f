"""What every room needs: errors, whole outputs, digests, the cache, tables, progress."""
