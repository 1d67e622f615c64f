"""The paper's experiments: many networks trained, interpreted and put into one table."""
