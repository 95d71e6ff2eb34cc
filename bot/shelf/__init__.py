"""What has been learned: bases, and the immutable versions of each persona."""
