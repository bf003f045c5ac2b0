"""What people do with models besides running them: counting, summaries, foreign weights."""
