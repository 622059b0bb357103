"""For whoever teaches the course: cards before students see them, and what learners get wrong."""
