"""Who is imitated: one account, or several blended into a cyborg."""
