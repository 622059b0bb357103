"""From what a learning platform hands out to one notebook for each student, or a reason."""
