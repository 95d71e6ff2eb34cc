"""What calls us: Discord, X and the web page. Each wears its vendor's name, decides nothing, and knows no other."""
