"""What is said to whom: a mention or a command becomes a reply; posts wait, are approved and go out."""
